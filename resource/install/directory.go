package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"pc4patroni/resource/internal/diskstep"
)

// directory is an open directory. Names are looked up relative to its descriptor:
// nobody can exchange it, or one above it, for a link between two operations.
type directory struct {
	fd   int
	path string
}

// openDirectory opens the directory at path, which is absolute and clean, and
// follows no symbolic link on the way. With create it makes what is missing, with
// mode 0755.
//
// It walks because nothing shorter will do: openat2 with RESOLVE_NO_SYMLINKS is
// missing in Linux 4.18, which RHEL 8 has, and os.Root needs the right to read
// each directory on the way, which O_PATH does not.
func openDirectory(path string, create bool) (*directory, error) {
	fd, err := openat(unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, explain(err, "open", "/")
	}
	at := "/"
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		at = filepath.Join(at, name)
		next, err := openat(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if create && errors.Is(err, fs.ErrNotExist) {
			err = do("make", at, func() error { return unix.Mkdirat(fd, name, 0o755) })
			if err == nil || errors.Is(err, fs.ErrExist) {
				next, err = openat(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
			}
		}
		_ = unix.Close(fd) // nothing was written through it
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, &missingDirectoryError{path}
		case errors.Is(err, unix.ENOTDIR):
			return nil, fmt.Errorf("%s is not a directory", at)
		case err != nil:
			return nil, explain(err, "open", at)
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

// MakeDirs makes the directories of target that are missing, with mode 0755.
func MakeDirs(target string) error {
	d, err := openDirectory(filepath.Dir(target), true)
	if err == nil {
		d.close()
	}
	return err
}

// inDirectory opens the directory of target for f, which gets its name there.
func inDirectory(target string, f func(d *directory, name string) error) error {
	d, err := openDirectory(filepath.Dir(target), false)
	if err != nil {
		return err
	}
	defer d.close()
	return f(d, filepath.Base(target))
}

// unlessMissing drops the error of a missing directory, where all that could be
// in it is missing as well.
func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d *directory) close() { _ = unix.Close(d.fd) } // nothing was written through it

func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

// create makes a new file, and fails if its name is taken. The error is bare,
// because the name may say little to a user.
func (d *directory) create(name string) (*os.File, error) {
	var file *os.File
	err := do("create", d.join(name), func() (err error) {
		file, err = d.openFile(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW)
		return err
	})
	return file, err
}

// open opens the regular file called name. O_NONBLOCK keeps a named pipe that
// has taken its place from blocking us.
func (d *directory) open(name string, flags int) (*os.File, State, error) {
	file, err := d.openFile(name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if errors.Is(err, unix.ELOOP) {
		return nil, State{}, fmt.Errorf("%s is a symbolic link that was not there a moment ago", d.join(name))
	}
	if err != nil {
		return nil, State{}, explain(err, "open", d.join(name))
	}
	state, err := stateOfOpen(file)
	if err != nil {
		_ = file.Close()
		return nil, State{}, err
	}
	return file, state, nil
}

// lstat returns what stat(2) tells of name itself, or nil if nothing is there.
func (d *directory) lstat(name string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err, "stat", d.join(name))
	}
	return &st, nil
}

func (d *directory) exists(name string) (bool, error) {
	st, err := d.lstat(name)
	return st != nil, err
}

// rename is what makes a file visible under its name to.
func (d *directory) rename(from, to string) error {
	err := do("rename", d.join(to), func() error { return unix.Renameat(d.fd, from, d.fd, to) })
	return explain(err, "replace", d.join(to))
}

// remove removes name if it is there.
func (d *directory) remove(name string) error {
	err := do("remove", d.join(name), func() error { return unix.Unlinkat(d.fd, name, 0) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return explain(err, "remove", d.join(name))
}

// sync makes the names in d survive a power cut.
func (d *directory) sync() error {
	dir, err := d.openFile(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrPermission) {
		return nil // we may add names but not list them, and so not sync either
	}
	if err == nil {
		defer dir.Close()
		err = do("sync directory", d.path, dir.Sync)
	}
	return explain(err, "sync", d.path)
}

// SyncDir makes the name of target survive a power cut. It may come long after
// the rename, from another goroutine, and once for several targets of a
// directory: until then the old file may come back, but never half of one.
func SyncDir(target string) error {
	return inDirectory(target, func(d *directory, _ string) error { return d.sync() })
}

// openFile opens what is called name as flags say, and returns the bare error.
func (d *directory) openFile(name string, flags int) (*os.File, error) {
	fd, err := openat(d.fd, name, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), d.join(name)), nil
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

// do makes a call that changes the disk, unless a test wants the step to fail.
func do(what, path string, call func() error) error {
	if diskstep.Hook != nil {
		if err := diskstep.Hook(what, path); err != nil {
			return err
		}
	}
	return retry(call)
}
