package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// setMetadata gives file the owner, group and mode that want names, or else those of
// have, and the extended attributes of old unless that is nil. The group comes
// before the owner: the group of a file that was given away cannot be set. Both come
// before the mode, of which they clear bits, and so do the attributes: access
// control lists contain the mode.
func setMetadata(file *os.File, target string, old *os.File, have State, want Want) (warnings []string, err error) {
	is, err := stateOfOpen(file)
	if err != nil {
		return nil, err
	}
	uid, gid, mode := want.metadata(have)
	if gid != Keep && gid != is.GID {
		switch err := chown(file, -1, gid); {
		case errors.Is(err, fs.ErrPermission):
			warnings = append(warnings, groupWarning(target, gid))
		case err != nil:
			return nil, fmt.Errorf("give %s to group %s: %w", target, groupName(gid), err)
		}
	}
	if uid != Keep && uid != is.UID {
		switch err := chown(file, uid, -1); {
		case errors.Is(err, fs.ErrPermission):
			warnings = append(warnings, ownerWarning(target, uid))
		case err != nil:
			return nil, fmt.Errorf("give %s to user %s: %w", target, userName(uid), err)
		}
	}
	if old != nil {
		more, err := copyAttributes(old, file, target)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
	}
	err = do("chmod", file.Name(), func() error { return unix.Fchmod(int(file.Fd()), uint32(mode)) })
	if err != nil {
		return nil, fmt.Errorf("give %s the mode %04o: %w", target, mode, err)
	}
	return warnings, nil
}

// metadata returns the owner, group and mode of a file that replaces one whose
// state is have. Keep stands for those of the running user.
func (w Want) metadata(have State) (uid, gid, mode int) {
	if !have.Exists {
		have = State{UID: Keep, GID: Keep, Mode: 0o644}
	}
	unlessKept := func(want, have int) int {
		if want == Keep {
			return have
		}
		return want
	}
	return unlessKept(w.UID, have.UID), unlessKept(w.GID, have.GID), unlessKept(w.Mode, have.Mode)
}

// setTime gives the file called name the modification time t, unless that is
// zero. It comes before a change of owner, after which it is not permitted.
func (d *directory) setTime(name string, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	at := []unix.Timespec{{Nsec: unix.UTIME_NOW}, unix.NsecToTimespec(t.UnixNano())}
	err := do("set time", d.join(name), func() error { return unix.UtimesNanoAt(d.fd, name, at, unix.AT_SYMLINK_NOFOLLOW) })
	return explain(err, "set the time of", d.join(name))
}

func chown(file *os.File, uid, gid int) error {
	return do("chown", file.Name(), func() error { return unix.Fchown(int(file.Fd()), uid, gid) })
}

// MetadataChanges lists, in words, what installing want would change of the
// owner, group and mode of a file whose state is have.
func MetadataChanges(have State, want Want) []string {
	var changes []string
	if want.Mode != Keep && want.Mode != have.Mode {
		changes = append(changes, fmt.Sprintf("mode %04o -> %04o", have.Mode, want.Mode))
	}
	if want.UID != Keep && want.UID != have.UID && maySetOwner(want.UID) {
		changes = append(changes, fmt.Sprintf("owner %s -> %s", userName(have.UID), userName(want.UID)))
	}
	if want.GID != Keep && want.GID != have.GID && maySetGroup(want.GID) {
		changes = append(changes, fmt.Sprintf("group %s -> %s", groupName(have.GID), groupName(want.GID)))
	}
	return changes
}
