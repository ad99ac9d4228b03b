package install

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Keep stands for an owner, group or mode that stays as it is.
const Keep = -1

// newFileMode is the mode of a file that is new and whose mode is not given.
const newFileMode = 0o644

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

func (s State) sameFile(other State) bool { return s.Dev == other.Dev && s.Ino == other.Ino }

func stateOf(st *unix.Stat_t) State {
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
	}
}

func stateOfOpen(fd uintptr) (State, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(int(fd), &st) })
	return stateOf(&st), err
}

// Stat returns the state of target. Where nothing is, not even its directory,
// that is the zero State; where something other than a regular file is, that is
// an error.
func Stat(target string) (State, error) {
	d, name, err := openTarget(target)
	if _, ok := err.(*missingDirectoryError); ok {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	defer d.close()
	return d.statRegular(name)
}

func (d *directory) statRegular(name string) (State, error) {
	state, format, err := d.stat(name)
	if err == nil && state.Exists && format != unix.S_IFREG {
		return State{}, notRegular(d.join(name), fileMode(format))
	}
	return state, err
}

func fileMode(format uint32) fs.FileMode {
	switch format {
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	}
	return fs.ModeDevice
}

func notRegular(path string, mode fs.FileMode) error {
	what := "a device"
	switch {
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeSymlink != 0:
		what = "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	}
	return fmt.Errorf("%s is %s, not a regular file: change dest, or move it away", path, what)
}

// Compare tells whether target, whose state is have, is anything else than
// want. An owner or group that this process may not set is no difference:
// otherwise the file would be replaced again and again.
func Compare(target string, have State, want Want) (bool, error) {
	if !have.Exists || have.Size != int64(len(want.Data)) || metadataDiffers(have, want) {
		return true, nil
	}
	data, err := Read(target, have)
	if err != nil {
		return false, err
	}
	return !bytes.Equal(data, want.Data), nil
}

func metadataDiffers(have State, want Want) bool {
	return len(MetadataChanges(have, want)) > 0
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

// Read returns the content of target if it is still the file whose state is
// have.
func Read(target string, have State) ([]byte, error) {
	d, name, err := openTarget(target)
	if err != nil {
		return nil, err
	}
	defer d.close()
	file, err := d.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if is, err := stateOfOpen(file.Fd()); err != nil || !is.sameFile(have) {
		return nil, fmt.Errorf("%s was replaced meanwhile", target)
	}
	return io.ReadAll(file)
}
