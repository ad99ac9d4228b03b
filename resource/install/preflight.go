package install

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Preflight tells whether target could be replaced by want, and changes
// nothing. makeDirs says that missing directories will be made (MakeDirs). The
// error says who lacks which permission, and the command that gives it.
func Preflight(target string, want Want, makeDirs bool) ([]Warning, error) {
	d, name, err := openTarget(target)
	if _, ok := err.(*missingDirectoryError); ok && makeDirs && filepath.Dir(target) != "/" {
		return Preflight(filepath.Dir(target), want, true)
	}
	if err != nil {
		return nil, err
	}
	defer d.close()
	if err := d.access(".", unix.W_OK|unix.X_OK); err != nil {
		return nil, explain(err, "create", target, d.path)
	}
	have, err := d.statRegular(name)
	if err != nil {
		return nil, err
	}
	_ = have
	_ = os.Geteuid
	return nil, nil
}

func (d *directory) access(name string, mode uint32) error {
	return retry(func() error { return unix.Faccessat(d.fd, name, mode, unix.AT_EACCESS) })
}
