package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// oursAttribute is the extended attribute of files that this package wrote.
const oursAttribute = "user.pc4patroni"

// maxAttribute is the number of bytes to which Linux limits the value of an
// extended attribute, and the list of their names.
const maxAttribute = 64 << 10

// markOurs marks file as written by this package, where the file system can:
// see keepCopies. It comes before a change of owner or mode, after which it may
// not be permitted.
func markOurs(file *os.File) { _ = unix.Fsetxattr(int(file.Fd()), oursAttribute, []byte("1"), 0) }

func isOurs(file *os.File) bool {
	_, err := unix.Fgetxattr(int(file.Fd()), oursAttribute, nil)
	return err == nil
}

// copyAttributes gives file the extended attributes of old, such as its SELinux
// label and access control list. Attributes that describe the replaced content
// (hashes, capabilities) are not copied.
func copyAttributes(old, file *os.File, target string) (warnings []string, err error) {
	list, err := readAttribute(func(buf []byte) (int, error) { return unix.Flistxattr(int(old.Fd()), buf) })
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		return nil, fmt.Errorf("list the extended attributes of %s: %w", target, err)
	}
	for name := range strings.SplitSeq(string(list), "\x00") {
		switch name {
		case "", "security.ima", "security.evm", "security.capability", oursAttribute:
			continue
		}
		value, err := attribute(old, name)
		if is, none := attribute(file, name); err == nil && none == nil && bytes.Equal(is, value) {
			continue // each new file in this directory gets it
		}
		if err == nil {
			err = unix.Fsetxattr(int(file.Fd()), name, value, 0)
		}
		switch {
		case err == nil, errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		case errors.Is(err, fs.ErrPermission):
			warnings = append(warnings, fmt.Sprintf("%s: user %s may not keep its extended attribute %s: run as root, or remove the attribute",
				target, userName(os.Geteuid()), name))
		default:
			return nil, fmt.Errorf("keep the extended attribute %s of %s: %w", name, target, err)
		}
	}
	return warnings, nil
}

// attribute returns an extended attribute of file.
func attribute(file *os.File, name string) ([]byte, error) {
	return readAttribute(func(buf []byte) (int, error) { return unix.Fgetxattr(int(file.Fd()), name, buf) })
}

// readAttribute returns what read puts into its argument, which is seldom long.
func readAttribute(read func(buf []byte) (int, error)) ([]byte, error) {
	buf := make([]byte, 256)
	n, err := read(buf)
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, maxAttribute)
		n, err = read(buf)
	}
	return buf[:max(n, 0)], err
}
