package resource

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// maxLinks bounds the symbolic links that are followed from a dest, as the
// kernel bounds its own.
const maxLinks = 40

// keep stands for an owner, group or mode that stays as it is.
const keep = -1

// content is what a file should be.
type content struct {
	data []byte
	// mode holds permission bits as in chmod(2), or keep: the replaced file's,
	// else 0644.
	mode int
	// uid and gid are numbers, or keep: the replaced file's, else the running
	// user's.
	uid, gid int
	// mtime is the time at which data was rendered, where that matters to
	// data (see renderer), else zero.
	mtime time.Time
}

// fileState is what stat(2) tells of a file. Two equal states of a path mean
// that nobody has written to it in between.
type fileState struct {
	exists       bool
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds since 1970
	mode         int   // permission bits as in chmod(2)
	uid, gid     int
}

func (s fileState) modTime() time.Time { return time.Unix(0, s.mtime) }

// statFile returns the state of the file at path; a path at which nothing is
// has the zero state. A path at which something other than a regular file is
// cannot be a dest, which is an error.
func statFile(path string) (fileState, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fileState{}, nil
	}
	if err != nil {
		return fileState{}, err
	}
	if !info.Mode().IsRegular() {
		return fileState{}, fmt.Errorf("%s is %s, not a regular file: change dest, or move it away", path, describeType(info.Mode()))
	}
	return stateOf(info), nil
}

func stateOf(info fs.FileInfo) fileState {
	sys := info.Sys().(*syscall.Stat_t)
	return fileState{
		exists: true,
		dev:    sys.Dev,
		ino:    sys.Ino,
		size:   sys.Size,
		mtime:  sys.Mtim.Nano(),
		ctime:  sys.Ctim.Nano(),
		mode:   int(sys.Mode & 0o7777),
		uid:    int(sys.Uid),
		gid:    int(sys.Gid),
	}
}

func describeType(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// resolve follows the symbolic links that dest itself may be, so that a link
// stays a link and its target is what gets replaced. Below root (see -destdir)
// links are read as if root were the root of the file system, and one that
// leads out of it is an error.
func resolve(dest, root string) (string, error) {
	path := dest
	for range maxLinks {
		link, err := os.Readlink(path)
		if err != nil {
			// Not a link, or nothing there: path is where the file belongs.
			// Any other trouble shows when the file is looked at.
			return path, nil
		}
		if !filepath.IsAbs(link) {
			path = filepath.Join(filepath.Dir(path), link)
		} else {
			path = filepath.Join(root, link)
		}
		if root != "" && !strings.HasPrefix(path, filepath.Clean(root)+"/") {
			return "", fmt.Errorf("%s is a symbolic link that leads out of %s", dest, root)
		}
	}
	return "", fmt.Errorf("%s: too many levels of symbolic links", dest)
}

// differs tells whether the file at path, whose state is have, is anything
// else than want.
func differs(path string, have fileState, want content) (bool, error) {
	if !have.exists || have.size != int64(len(want.data)) || metadataDiffers(have, want) {
		return true, nil
	}
	data, err := readSame(path, have)
	if err != nil {
		return false, err
	}
	return !bytes.Equal(data, want.data), nil
}

func metadataDiffers(have fileState, want content) bool {
	return want.mode != keep && want.mode != have.mode ||
		want.uid != keep && want.uid != have.uid ||
		want.gid != keep && want.gid != have.gid
}

// readSame reads the file at path if it is still the one whose state is have:
// in a folder of somebody else's a link or a pipe may have taken its place.
func readSame(path string, have fileState) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if is := stateOf(info); !info.Mode().IsRegular() || is.dev != have.dev || is.ino != have.ino {
		return nil, fmt.Errorf("%s was replaced meanwhile", path)
	}
	return io.ReadAll(file)
}
