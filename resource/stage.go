package resource

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stagedPrefix begins the name of every staged file. The dot keeps them out
// of the way of programs that read whole folders.
const stagedPrefix = ".pc4patroni-"

// stagedRandom is the number of random hexadecimal digits in a staged name.
const stagedRandom = 16

// backupSuffix ends the name of the copy of a replaced file.
const backupSuffix = ".bak"

// newFileMode is the mode of a file that is new and whose mode is not given.
const newFileMode = 0o644

// staged is a file that has been written beside its target and not yet been
// renamed over it. It is locked (flock) for as long as it is in use, so that
// another process does not take it for a leftover.
type staged struct {
	path   string
	target string
	file   *os.File
}

// stage writes want beside target with its owner and mode. have is the state
// of target, whose owner, mode and extended attributes are kept where want
// does not say otherwise. Data is not yet synced to disk: see sync.
func stage(target string, have fileState, want content) (_ *staged, err error) {
	dir, base := filepath.Split(target)
	path := dir + stagedPrefix + randomDigits() + "-" + base
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the directory %s does not exist: create it, or set create_dest_dirs = true", filepath.Clean(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("stage: %w", err)
	}
	s := &staged{path: path, target: target, file: file}
	defer func() {
		if err != nil {
			s.discard()
		}
	}()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil && !errors.Is(err, unix.ENOLCK) && !errors.Is(err, unix.ENOTSUP) {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if _, err := file.Write(want.data); err != nil {
		return nil, fmt.Errorf("stage: %w", err)
	}
	if err := setMetadata(file, target, have, want); err != nil {
		return nil, err
	}
	if !want.mtime.IsZero() {
		if err := os.Chtimes(path, time.Time{}, want.mtime); err != nil {
			return nil, fmt.Errorf("stage: %w", err)
		}
	}
	return s, nil
}

func randomDigits() string {
	var b [stagedRandom / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// setMetadata gives file the owner, group, extended attributes and mode that
// want names, or else those of target. The owner comes first, because a change
// of owner clears mode bits and some attributes; the mode last, because access
// control lists contain it.
func setMetadata(file *os.File, target string, have fileState, want content) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	is := stateOf(info)
	uid, gid, mode := is.uid, is.gid, newFileMode
	if have.exists {
		uid, gid, mode = have.uid, have.gid, have.mode
	}
	if want.uid != keep {
		uid = want.uid
	}
	if want.gid != keep {
		gid = want.gid
	}
	if want.mode != keep {
		mode = want.mode
	}
	if uid != is.uid || gid != is.gid {
		if err := file.Chown(uid, gid); err != nil {
			return fmt.Errorf("give %s to uid %d, gid %d: %w: run as root or as that user, or name another owner and group",
				target, uid, gid, errors.Unwrap(err))
		}
	}
	if have.exists {
		if err := copyAttributes(target, file); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(int(file.Fd()), uint32(mode)); err != nil {
		return fmt.Errorf("chmod %s: %w", file.Name(), err)
	}
	return nil
}

// copyAttributes copies the extended attributes of the file at path, such as
// its SELinux label and access control list, to file. Attributes that describe
// the replaced content (hashes, capabilities) are not copied.
func copyAttributes(path string, file *os.File) error {
	names, err := listAttributes(path)
	if err != nil {
		return fmt.Errorf("list the extended attributes of %s: %w", path, err)
	}
	for _, name := range names {
		switch name {
		case "security.ima", "security.evm", "security.capability":
			continue
		}
		value, err := attribute(path, name)
		if err == nil {
			err = unix.Fsetxattr(int(file.Fd()), name, value, 0)
		}
		switch {
		case err == nil, errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		default:
			return fmt.Errorf("keep the extended attribute %s of %s: %w", name, path, err)
		}
	}
	return nil
}

func listAttributes(path string) ([]string, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := unix.Llistxattr(path, buf)
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

func attribute(path, name string) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := unix.Lgetxattr(path, name, buf)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		return buf[:max(n, 0)], err
	}
}

// sync makes the staged data survive a power cut; it comes before the rename,
// which otherwise could survive without the data.
func (s *staged) sync() error {
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s.path, err)
	}
	return nil
}

// errMountPoint says that a target is a mount point, which no file can be
// renamed over.
var errMountPoint = errors.New("the file is a mount point")

// install renames the staged file over its target. After errMountPoint the
// staged file is still there; after any other error it is not.
func (s *staged) install() error {
	err := os.Rename(s.path, s.target)
	if errors.Is(err, syscall.EBUSY) {
		return errMountPoint
	}
	if err != nil {
		s.discard()
		return fmt.Errorf("install: %w", err)
	}
	return s.file.Close()
}

// discard removes the staged file.
func (s *staged) discard() {
	_ = os.Remove(s.path) // what cannot be removed now is removed at the next start
	_ = s.file.Close()
}

// release leaves the staged file behind, for debugging.
func (s *staged) release() { _ = s.file.Close() }

// overwrite writes want into the existing file at path, and on failure puts
// the old data back.
func overwrite(path string, want content) (err error) {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write in place: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write in place: %w", err)
	}
	defer func() { err = cmp.Or(err, file.Close()) }()
	if err := writeAll(file, want.data); err != nil {
		if back := writeAll(file, old); back != nil {
			return fmt.Errorf("write %s in place: %w; it could not be put back either: %w", path, err, back)
		}
		return fmt.Errorf("write %s in place: %w", path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	have := stateOf(info)
	if metadataDiffers(have, want) {
		if err := setMetadata(file, path, have, want); err != nil {
			return err
		}
	}
	if !want.mtime.IsZero() {
		return os.Chtimes(path, time.Time{}, want.mtime)
	}
	return nil
}

func writeAll(file *os.File, data []byte) error {
	if _, err := file.WriteAt(data, 0); err != nil {
		return err
	}
	if err := file.Truncate(int64(len(data))); err != nil {
		return err
	}
	return file.Sync()
}

// backUp leaves a copy of the file at path, whose state is have, beside it,
// with the same owner and mode.
func backUp(path string, have fileState) error {
	data, err := readSame(path, have)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	backup := path + backupSuffix
	of, err := statFile(backup)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	want := content{data: data, mode: have.mode, uid: have.uid, gid: have.gid, mtime: have.modTime()}
	s, err := stage(backup, of, want)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := s.install(); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

// removeLeftovers removes the staged files in dir that a crashed run left
// behind for the targets whose base names are given, and returns their paths.
// Those that another process is working with are locked and stay.
func removeLeftovers(dir string, bases map[string]bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, entry := range entries {
		base, ok := stagedBase(entry.Name())
		if !ok || !bases[base] && !bases[strings.TrimSuffix(base, backupSuffix)] {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		gone, err := removeUnlocked(path)
		if err != nil {
			return removed, fmt.Errorf("remove a staged file of an earlier run: %w", err)
		}
		if gone {
			removed = append(removed, path)
		}
	}
	return removed, nil
}

// stagedBase returns the base name of the target for which a file called name
// was staged, and whether it was.
func stagedBase(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, stagedPrefix)
	if !ok || len(rest) <= stagedRandom+1 || rest[stagedRandom] != '-' {
		return "", false
	}
	if _, err := hex.DecodeString(rest[:stagedRandom]); err != nil {
		return "", false
	}
	return rest[stagedRandom+1:], true
}

func removeUnlocked(path string) (bool, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if errors.Is(err, syscall.ELOOP) {
		return false, nil // a link is nothing that we staged
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	if errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return false, nil
	}
	return true, os.Remove(path)
}

// syncDir makes the names in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
