package install

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Keep stands for an owner, group or mode that stays as it is.
const Keep = -1

// Want is what a file should be.
type Want struct {
	Data []byte
	// UID and GID are numbers, or Keep: those of the replaced file, else of
	// the running user.
	UID, GID int
	// Mode holds permission bits as in chmod(2), or Keep: that of the replaced
	// file, else 0644.
	Mode int
	// ModTime is the modification time to give the file, or zero.
	ModTime time.Time
}

// State is what stat(2) tells of a file; the zero State is that of no file.
// Two equal states of a target mean that nobody has written to it in between,
// as far as the clock of the file system (often 4 milliseconds) can tell.
type State struct {
	Exists       bool
	Dev, Ino     uint64
	Size         int64
	Mtime, Ctime int64 // nanoseconds since 1970
	Mode         int   // permission bits as in chmod(2)
	UID, GID     int
}

// ModTime returns the time at which the content was last written.
func (s State) ModTime() time.Time { return time.Unix(0, s.Mtime) }

// stateOf returns the state of the file at path, which has to be a regular one.
func stateOf(st *unix.Stat_t, path string) (State, error) {
	what := "a device"
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return State{
			Exists: true,
			Dev:    st.Dev,
			Ino:    st.Ino,
			Size:   st.Size,
			Mtime:  st.Mtim.Nano(),
			Ctime:  st.Ctim.Nano(),
			Mode:   int(st.Mode & 0o7777),
			UID:    int(st.Uid),
			GID:    int(st.Gid),
		}, nil
	case unix.S_IFDIR:
		what = "a directory"
	case unix.S_IFLNK:
		what = "a symbolic link"
	case unix.S_IFIFO:
		what = "a named pipe"
	case unix.S_IFSOCK:
		what = "a socket"
	}
	return State{}, fmt.Errorf("%s is %s, not a regular file: change dest, or move it away", path, what)
}

func stateOfOpen(file *os.File) (State, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(file.Fd()), &st) }); err != nil {
		return State{}, explain(err, "stat", file.Name())
	}
	return stateOf(&st, file.Name())
}

// Stat returns the state of target: the zero State where there is nothing, not even
// its directory, and an error where there is something other than a regular file.
func Stat(target string) (state State, err error) {
	err = inDirectory(target, func(d *directory, name string) error {
		state, err = d.state(name)
		return err
	})
	return state, unlessMissing(err)
}

func (d *directory) state(name string) (State, error) {
	st, err := d.lstat(name)
	if st == nil {
		return State{}, err
	}
	return stateOf(st, d.join(name))
}

// Compare tells whether target, whose state is have, is anything other than
// want. An owner or group that this process may not set is no difference:
// otherwise the file would be replaced again and again.
func Compare(target string, have State, want Want) (bool, error) {
	if !have.Exists || have.Size != int64(len(want.Data)) || len(MetadataChanges(have, want)) > 0 {
		return true, nil
	}
	data, err := Read(target, have)
	if err != nil {
		return false, err
	}
	return !bytes.Equal(data, want.Data), nil
}

// Read returns the content of target if it is still the file whose state is
// have: another one may hold what fewer users may read.
func Read(target string, have State) (data []byte, err error) {
	err = inDirectory(target, func(d *directory, name string) error {
		file, is, err := d.open(name, unix.O_RDONLY)
		if err != nil {
			return err
		}
		defer file.Close()
		if is.Dev != have.Dev || is.Ino != have.Ino {
			return fmt.Errorf("%s was replaced in the meantime", target)
		}
		data, err = io.ReadAll(file)
		return err
	})
	return data, err
}
