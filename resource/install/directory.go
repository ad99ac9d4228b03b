package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// directory is an open directory. Names in it are looked up relative to its
// descriptor, so that nobody can exchange it, or one above it, for a symbolic
// link between two operations.
type directory struct {
	fd   int
	path string
}

// openDirectory opens the directory at path, which is absolute and clean, and
// follows no symbolic link on the way. O_PATH asks for no right to read.
func openDirectory(path string) (*directory, error) {
	fd, err := openat(unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: "/", Err: err}
	}
	at := "/"
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		at = filepath.Join(at, name)
		next, err := openat(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		_ = unix.Close(fd) // nothing was written through it
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, &missingDirectoryError{path}
		case errors.Is(err, unix.ENOTDIR):
			return nil, fmt.Errorf("%s is not a directory", at)
		case err != nil:
			return nil, explain(err, "open", at, filepath.Dir(at))
		}
		fd = next
	}
	return &directory{fd: fd, path: path}, nil
}

// missingDirectoryError is fs.ErrNotExist for the directory of a target.
type missingDirectoryError struct{ path string }

func (e *missingDirectoryError) Error() string {
	return fmt.Sprintf("the directory %s does not exist: create it, or set create_dest_dirs = true", e.path)
}

func (e *missingDirectoryError) Unwrap() error { return fs.ErrNotExist }

// openTarget opens the directory of target and returns the name in it.
func openTarget(target string) (*directory, string, error) {
	d, err := openDirectory(filepath.Dir(target))
	return d, filepath.Base(target), err
}

// close may be called again: what is closed stays closed.
func (d *directory) close() {
	if d.fd >= 0 {
		_ = unix.Close(d.fd) // nothing was written through it
	}
	d.fd = -1
}

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

// create makes a new file: nothing may be there under its name.
func (d *directory) create(name string) (*os.File, error) {
	fd, err := openat(d.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW)
	if err != nil {
		return nil, explain(err, "create", d.join(name), d.path)
	}
	return os.NewFile(uintptr(fd), d.join(name)), nil
}

// open opens the regular file called name. O_NONBLOCK keeps a named pipe that
// has taken its place from holding us.
func (d *directory) open(name string, flags int) (*os.File, error) {
	fd, err := openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link that was not there a moment ago", d.join(name))
	}
	if err != nil {
		return nil, explain(err, "open", d.join(name), d.path)
	}
	file := os.NewFile(uintptr(fd), d.join(name))
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(d.join(name), info.Mode())
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// stat returns the state of what is called name, and its type bits.
func (d *directory) stat(name string) (State, uint32, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, 0, nil
	}
	if err != nil {
		return State{}, 0, explain(err, "stat", d.join(name), d.path)
	}
	return stateOf(&st), st.Mode & unix.S_IFMT, nil
}

func (d *directory) exists(name string) (bool, error) {
	state, _, err := d.stat(name)
	return state.Exists, err
}

func (d *directory) rename(from, to string) error {
	return retry(func() error { return unix.Renameat(d.fd, from, d.fd, to) })
}

// remove removes name and tells whether it was there.
func (d *directory) remove(name string) (bool, error) {
	if err := step("remove " + name); err != nil {
		return false, err
	}
	err := retry(func() error { return unix.Unlinkat(d.fd, name, 0) })
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, explain(err, "remove", d.join(name), d.path)
	}
	return true, nil
}

// sync makes the names in d survive a power cut.
func (d *directory) sync() error {
	if err := step("sync directory"); err != nil {
		return err
	}
	fd, err := openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrPermission) {
		return nil // we may add names but not list them, and so not sync either
	}
	if err != nil {
		return explain(err, "open", d.path, d.path)
	}
	defer unix.Close(fd)
	if err := retry(func() error { return unix.Fsync(fd) }); err != nil {
		return explain(err, "sync", d.path, d.path)
	}
	return nil
}

// SyncDir makes the name of target survive a power cut. It may come long after
// the rename, from another goroutine, and once for several targets of a
// directory: until then the old file may come back, but never half of one.
func SyncDir(target string) error {
	d, _, err := openTarget(target)
	if err != nil {
		return err
	}
	defer d.close()
	return d.sync()
}

// MakeDirs makes the directories of target that are missing, with mode 0755,
// and follows no symbolic link on the way.
func MakeDirs(target string) error {
	dir := filepath.Dir(target)
	d, err := openDirectory(dir)
	if err == nil {
		d.close()
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := MakeDirs(dir); err != nil {
		return err
	}
	above, name, err := openTarget(dir)
	if err != nil {
		return err
	}
	defer above.close()
	err = retry(func() error { return unix.Mkdirat(above.fd, name, 0o755) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return explain(err, "make the directory", dir, above.path)
	}
	return nil
}

func openat(at int, name string, flags int) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(at, name, flags|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, err
}

// retry repeats a system call that a signal has interrupted, as file systems
// such as NFS and FUSE allow; Go sends itself signals all the time.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// hook, if not nil, is called before each step that changes the disk. Tests
// end the process there, or make the step fail.
var hook func(step string) error

func step(name string) error {
	if hook == nil {
		return nil
	}
	return hook(name)
}
