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

// markOurs marks file as written by this package, where the file system can:
// see keepCopies. It comes before a change of owner or mode, after which it may
// not be permitted.
func markOurs(file *os.File) { _ = unix.Fsetxattr(int(file.Fd()), oursAttribute, []byte("1"), 0) }

func isOurs(file *os.File) bool {
	_, err := attribute(file, oursAttribute)
	return err == nil
}

// copyAttributes gives file the extended attributes of old, such as its SELinux
// label and access control list. Attributes that describe the replaced content
// (hashes, capabilities) are not copied.
func copyAttributes(old, file *os.File, target string) (warnings []string, err error) {
	names, err := listAttributes(old)
	if err != nil {
		return nil, fmt.Errorf("list the extended attributes of %s: %w", target, err)
	}
	for _, name := range names {
		switch name {
		case "security.ima", "security.evm", "security.capability", oursAttribute:
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

func listAttributes(file *os.File) ([]string, error) {
	list, err := growing(func(buf []byte) (int, error) { return unix.Flistxattr(int(file.Fd()), buf) })
	if errors.Is(err, unix.ENOTSUP) || err == nil && len(list) == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), err
}

func attribute(file *os.File, name string) ([]byte, error) {
	return growing(func(buf []byte) (int, error) { return unix.Fgetxattr(int(file.Fd()), name, buf) })
}

// growing calls read with larger and larger buffers until the value fits.
func growing(read func(buf []byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := read(buf)
		if !errors.Is(err, unix.ERANGE) {
			return buf[:max(n, 0)], err
		}
	}
}
