package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// explain says what the error err of a system call means that was to do op to
// path, and what to do about it. Each attempt gives the same text, so that it is
// logged once. It returns nil for nil.
func explain(err error, op, path string) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err // package os names a path of its own
	}
	dir, hint := filepath.Dir(path), ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EROFS):
		hint = fmt.Sprintf("%s is mounted read-only, at least for this process: under systemd, set ReadWritePaths=%s", dir, dir)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		hint = fmt.Sprintf("make room in %s", dir)
	case errors.Is(err, unix.ENAMETOOLONG):
		hint = "choose a shorter name"
	case op == "replace" && errors.Is(err, fs.ErrNotExist):
		hint = "another process has removed the staged file"
	case errors.Is(err, fs.ErrPermission):
		hint = deniedHint(op, path, dir)
	}
	if hint != "" {
		err = fmt.Errorf("%w: %s", err, hint)
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

func deniedHint(op, path, dir string) string {
	me := userName(os.Geteuid())
	if os.Geteuid() == 0 {
		return "the user is root, so look for an immutable flag (lsattr), SELinux, or a missing capability"
	}
	switch op {
	case "open", "read":
		return fmt.Sprintf("user %s may not read it", me)
	case "replace":
		return fmt.Sprintf("%s may be sticky (drwxrwxrwt), so that user %s may replace only their own files in it", dir, me)
	case "write in place":
		return fmt.Sprintf("user %s may not write it", me)
	case "stat", "resolve":
		return fmt.Sprintf("user %s may not look into %s: chmod o+x %s", me, dir, dir)
	}
	group := groupName(os.Getegid())
	return fmt.Sprintf("user %s may not create files in %s: chgrp %s %s && chmod g+w %s", me, dir, group, dir, dir)
}
