package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Warning says that a file is kept up to date without something that this
// user may not give it. Two equal warnings are the same warning.
type Warning struct {
	Target  string // the file
	Problem string // who may not do what
	Remedy  string // what to do about it
}

func (w Warning) String() string { return fmt.Sprintf("%s: %s: %s", w.Target, w.Problem, w.Remedy) }

// oursAttribute is the extended attribute of files that this package wrote.
const oursAttribute = "user.pc4patroni"

// setMetadata gives file the owner, group, extended attributes and mode that
// want names, or else those of the old file, whose state is have; old is that
// file, or nil if its attributes are not to be copied. The group comes before
// the owner, because who gives a file away has no say in its group any more;
// both come before the mode, because they clear bits of it; the mode comes after
// the attributes, because access control lists contain it.
func setMetadata(file *os.File, target string, old *os.File, have State, want Want) (warnings []Warning, err error) {
	is, err := stateOfOpen(file.Fd())
	if err != nil {
		return nil, explain(err, "stat", target, target)
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
	err = step("chmod")
	if err == nil {
		err = retry(func() error { return unix.Fchmod(int(file.Fd()), uint32(mode)) })
	}
	if err != nil {
		return nil, fmt.Errorf("give %s the mode %04o: %w", target, mode, err)
	}
	return warnings, nil
}

// metadata returns the owner, group and mode of a file that replaces one whose
// state is have. Keep stands for those of the running user.
func (w Want) metadata(have State) (uid, gid, mode int) {
	uid, gid, mode = Keep, Keep, newFileMode
	if have.Exists {
		uid, gid, mode = have.UID, have.GID, have.Mode
	}
	if w.UID != Keep {
		uid = w.UID
	}
	if w.GID != Keep {
		gid = w.GID
	}
	if w.Mode != Keep {
		mode = w.Mode
	}
	return uid, gid, mode
}

// setTime gives the file called name the modification time t, unless that is
// zero. It comes before a change of owner, after which we may not.
func (d *directory) setTime(name string, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	err := step("set time")
	if err == nil {
		at := []unix.Timespec{{Nsec: unix.UTIME_NOW}, unix.NsecToTimespec(t.UnixNano())}
		err = retry(func() error { return unix.UtimesNanoAt(d.fd, name, at, unix.AT_SYMLINK_NOFOLLOW) })
	}
	if err != nil {
		return explain(err, "set the time of", d.join(name), d.path)
	}
	return nil
}

// markOurs marks file as written by this package, where the file system can:
// see keepCopies. It comes before a change of owner or mode, after which we may
// not.
func markOurs(file *os.File) { _ = unix.Fsetxattr(int(file.Fd()), oursAttribute, []byte("1"), 0) }

func chown(file *os.File, uid, gid int) error {
	if err := step("chown"); err != nil {
		return err
	}
	return retry(func() error { return unix.Fchown(int(file.Fd()), uid, gid) })
}

func ownerWarning(target string, uid int) Warning {
	return Warning{target,
		fmt.Sprintf("user %s may not give it to user %s, and keeps it", userName(os.Geteuid()), userName(uid)),
		fmt.Sprintf("run as user %s, or name another owner", userName(uid))}
}

func groupWarning(target string, gid int) Warning {
	me, group := userName(os.Geteuid()), groupName(gid)
	remedy := "run as root, or name another group"
	if gid != 0 { // nobody should become a member of root's group for this
		remedy = fmt.Sprintf("usermod -aG %s %s and restart, or name another group", group, me)
	}
	return Warning{target, fmt.Sprintf("user %s is no member of group %s and may not give it to that group", me, group), remedy}
}

func mountWarning(target string) Warning {
	return Warning{target, "it is a mount point, and is written in place: a reader may see half of it", "mount its directory instead"}
}

// maySetOwner and maySetGroup tell whether this process may give files of its
// own to uid or gid.
func maySetOwner(uid int) bool { return uid == os.Geteuid() || hasCapability(unix.CAP_CHOWN) }

func maySetGroup(gid int) bool {
	if gid == os.Getegid() || hasCapability(unix.CAP_CHOWN) {
		return true
	}
	groups, _ := os.Getgroups()
	return slices.Contains(groups, gid)
}

func hasCapability(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}

// copyAttributes gives file the extended attributes of old, such as its SELinux
// label and access control list. Attributes that describe the replaced content
// (hashes, capabilities) are not copied.
func copyAttributes(old, file *os.File, target string) (warnings []Warning, err error) {
	names, err := listAttributes(old)
	if err != nil {
		return nil, fmt.Errorf("list the extended attributes of %s: %w", target, err)
	}
	for _, name := range names {
		switch name {
		case "security.ima", "security.evm", "security.capability", oursAttribute:
			continue
		}
		value, err := attribute(old, name)
		if is, none := attribute(file, name); err == nil && none == nil && bytes.Equal(is, value) {
			continue // the directory gives it to each new file
		}
		if err == nil {
			err = unix.Fsetxattr(int(file.Fd()), name, value, 0)
		}
		switch {
		case err == nil, errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		case errors.Is(err, fs.ErrPermission):
			warnings = append(warnings, Warning{target,
				fmt.Sprintf("user %s may not keep its extended attribute %s", userName(os.Geteuid()), name),
				"run as root, or remove the attribute"})
		default:
			return nil, fmt.Errorf("keep the extended attribute %s of %s: %w", name, target, err)
		}
	}
	return warnings, nil
}

func listAttributes(file *os.File) ([]string, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := unix.Flistxattr(int(file.Fd()), buf)
		switch {
		case errors.Is(err, unix.ERANGE):
			continue
		case errors.Is(err, unix.ENOTSUP), err == nil && n == 0:
			return nil, nil
		case err != nil:
			return nil, err
		}
		return strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00"), nil
	}
}

func attribute(file *os.File, name string) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := unix.Fgetxattr(int(file.Fd()), name, buf)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		return buf[:max(n, 0)], err
	}
}
