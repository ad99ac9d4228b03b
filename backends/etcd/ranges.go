package etcd

import (
	"fmt"
	"slices"
	"strings"

	"pc4patroni/backends"
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

// cover returns the paths to read and watch so that nothing is read twice, and
// for each of them those of paths that it covers, itself first.
func cover(paths []string) (covering []string, covered map[string][]string) {
	covering = backends.Minimize(paths)
	covered = make(map[string][]string, len(covering))
	for _, p := range slices.Sorted(slices.Values(paths)) {
		// Of sorted paths, none stands between p and the one that covers it.
		i, found := slices.BinarySearch(covering, p)
		if !found {
			i--
		}
		covered[covering[i]] = append(covered[covering[i]], p)
	}
	return covering, covered
}

// below returns those of the keys that path covers.
func below(path string, keys map[string]string) map[string]string {
	some := make(map[string]string)
	for key, value := range keys {
		if backends.Covers(path, key) {
			some[key] = value
		}
	}
	return some
}
