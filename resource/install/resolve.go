package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks bounds the symbolic links that are followed, as the kernel bounds
// its own.
const maxLinks = 40

// Resolve returns the path of the file that dest stands for, without symbolic
// links, so that a link stays and its target is replaced. dest is absolute, and
// nothing need exist there yet.
//
// With a root, dest has to lie below it, and links are read as if root were the
// root of the file system. A link that leads out of it is an error.
func Resolve(dest, root string) (string, error) {
	base, rest := "/", filepath.Clean(dest)
	if root = filepath.Clean(root); root != "." && root != "/" {
		below, ok := strings.CutPrefix(rest, root+"/")
		if !ok {
			return "", fmt.Errorf("%s is not below %s", dest, root)
		}
		var err error
		if base, err = Resolve(root, ""); err != nil {
			return "", err
		}
		rest = below
	}
	at, todo, links := base, strings.Split(rest, "/"), 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch {
		case name == "" || name == ".":
			continue
		case name == ".." && at == base && base != "/":
			return "", fmt.Errorf("%s is a symbolic link that leads out of %s", dest, root)
		case name == "..":
			// at has no links in it, so this is where the kernel would go.
			at = filepath.Dir(at)
			continue
		}
		path := filepath.Join(at, name)
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			at = path // it will be created, or reported, later
			continue
		case err != nil:
			return "", explain(err, "resolve", path)
		case info.Mode()&fs.ModeSymlink == 0:
			at = path
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many levels of symbolic links", dest)
		}
		if err := trust(path, info); err != nil {
			return "", err
		}
		link, err := os.Readlink(path)
		if err != nil {
			return "", explain(err, "resolve", path)
		}
		if filepath.IsAbs(link) {
			at = base
		}
		todo = append(strings.Split(link, "/"), todo...)
	}
	return at, nil
}

// trust returns an error if the symbolic link at path may not be followed:
// because somebody else made it, or may exchange it in a directory of theirs.
// They could have us replace a file that they may not even read.
func trust(path string, link fs.FileInfo) error {
	dir, err := os.Lstat(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, info := range []fs.FileInfo{link, dir} {
		uid := int(info.Sys().(*syscall.Stat_t).Uid)
		if uid != 0 && uid != os.Geteuid() {
			return fmt.Errorf("%s is a symbolic link that user %s controls, so it is not followed: set dest to the file itself, or run as that user",
				path, userName(uid))
		}
	}
	return nil
}
