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
// error says who lacks which permission, and which command grants it; the
// warnings are those that Install would return. It cannot foresee a full disk,
// SELinux, or what changes afterwards.
func Preflight(target string, want Want, makeDirs bool) ([]string, error) {
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
	var warnings []string
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

// access returns an error unless this process may use name as mode says. It
// honours what the mode bits do not show: capabilities, access control lists and
// how the file system is mounted.
func (d *directory) access(name string, mode uint32) error {
	return retry(func() error { return unix.Faccessat(d.fd, name, mode, unix.AT_EACCESS) })
}

func (d *directory) isMountPoint(name string) bool {
	var st unix.Statx_t
	err := retry(func() error { return unix.Statx(d.fd, name, unix.AT_SYMLINK_NOFOLLOW, 0, &st) })
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 // Linux 5.8
}

// sticky tells whether d, like /tmp, lets only owners replace files, and the file
// whose state is have belongs to somebody else.
func (d *directory) sticky(have State) bool {
	st, err := d.lstat(".")
	me := os.Geteuid()
	return err == nil && st.Mode&unix.S_ISVTX != 0 && int(st.Uid) != me && have.UID != me && !hasCapability(unix.CAP_FOWNER)
}
