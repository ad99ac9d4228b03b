package etcd

import (
	"fmt"
	"strings"
)

// keyRange is one range of keys as etcd knows them: from key up to but without
// end, or, with an empty end, just key.
type keyRange struct{ key, end string }

// rangeOf returns the range that a path covers, as package backends defines it.
func rangeOf(path string) keyRange {
	if base, ok := strings.CutSuffix(path, "/"); ok {
		// "0" is the character after the slash.
		return keyRange{key: path, end: base + "0"}
	}
	return keyRange{key: path}
}

// grant is the range as etcdctl's arguments.
func (r keyRange) grant() string {
	if r.end == "" {
		return r.key
	}
	return "--prefix=true " + r.key
}

// checkPaths rejects what is not a path.
func checkPaths(paths []string) error {
	if len(paths) == 0 {
		return fmt.Errorf("read etcd: no path given")
	}
	for _, p := range paths {
		if !strings.HasPrefix(p, "/") {
			return fmt.Errorf("read etcd: path %q does not start with a slash", p)
		}
	}
	return nil
}
