package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Preflight tells whether target could be replaced by want, and changes
// nothing. makeDirs says that missing directories will be made (MakeDirs). The
// error says who lacks which permission, and the command that gives it; the
// warnings are those that Install would return. What it cannot foresee: a full
// disk, SELinux, and what changes afterwards.
func Preflight(target string, want Want, makeDirs bool) ([]Warning, error) {
	d, err := openDirectory(filepath.Dir(target), false)
	if errors.Is(err, fs.ErrNotExist) && makeDirs {
		return Preflight(filepath.Dir(target), want, true) // can that be made?
	}
	if err != nil {
		return nil, err
	}
	defer d.close()
	name := filepath.Base(target)
	if longest := stagedName(originalName(name)); len(longest) > unix.NAME_MAX {
		return nil, explain(unix.ENAMETOOLONG, "stage", target)
	}
	if err := d.access(".", unix.W_OK|unix.X_OK); err != nil {
		return nil, explain(err, "stage", target)
	}
	have, err := d.state(name)
	if err != nil {
		return nil, err
	}
	var warnings []Warning
	if have.Exists {
		if err := d.access(name, unix.R_OK); err != nil {
			return nil, explain(err, "open", target)
		}
		switch {
		case d.isMountPoint(name):
			if err := d.access(name, unix.W_OK); err != nil {
				return nil, explain(err, "write in place", target)
			}
			warnings = append(warnings, mountWarning(target))
		case d.sticky(have):
			return nil, explain(unix.EPERM, "replace", target)
		}
	}
	uid, gid, _ := want.metadata(have)
	if uid != Keep && !maySetOwner(uid) {
		warnings = append(warnings, ownerWarning(target, uid))
	}
	if gid != Keep && !maySetGroup(gid) {
		warnings = append(warnings, groupWarning(target, gid))
	}
	return warnings, nil
}

// access tells whether this process may use name as mode says. Unlike a look at
// the mode bits it heeds capabilities, access control lists and how the file
// system is mounted.
func (d *directory) access(name string, mode uint32) error {
	return retry(func() error { return unix.Faccessat(d.fd, name, mode, unix.AT_EACCESS) })
}

func (d *directory) isMountPoint(name string) bool {
	var st unix.Statx_t
	err := retry(func() error { return unix.Statx(d.fd, name, unix.AT_SYMLINK_NOFOLLOW, 0, &st) })
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 // Linux 5.8
}

// sticky tells whether d, as /tmp does, lets only owners replace files, and the
// one whose state is have is not ours.
func (d *directory) sticky(have State) bool {
	st, err := d.lstat(".")
	me := os.Geteuid()
	return err == nil && st.Mode&unix.S_ISVTX != 0 && int(st.Uid) != me && have.UID != me && !hasCapability(unix.CAP_FOWNER)
}
