package etcd

import (
	"fmt"
	"slices"
	"strings"

	"pc4patroni/backends"
)

// keyRange is one range of keys as etcd knows them: from key up to but without
// end, or, with an empty end, just key.
type keyRange struct {
	key, end string
	// optional marks the key of a path's own name. A role that covers what
	// lies below the path need not cover it, so it may be denied.
	optional bool
}

// String names the range as the user would.
func (r keyRange) String() string { return fmt.Sprintf("%q", r.key) }

// grant is how etcdctl wants the range.
func (r keyRange) grant() string {
	if r.end == "" {
		return r.key
	}
	return "--prefix=true " + r.key
}

// rangesOf returns the ranges that a path covers, as package backends defines
// it: below the path, and before it, where the path ends without a slash, the
// key of that very name. They are two ranges because siblings lie between
// them: "/a" < "/a-b" < "/a/".
func rangesOf(path string) []keyRange {
	if base, ok := strings.CutSuffix(path, "/"); ok {
		// "0" is the character after the slash.
		return []keyRange{{key: path, end: base + "0"}}
	}
	return []keyRange{
		{key: path, optional: true},
		{key: path + "/", end: path + "0"},
	}
}

// plan is what to read or watch: ranges that do not overlap.
type plan struct {
	ranges []keyRange
	// group of a range: those with the same number hold paths of one group
	// that the caller wants to see at one revision.
	group []int
}

// newPlan works out the ranges of groups of paths. A range that paths of two
// groups share makes one group of both.
func newPlan(groups [][]string) (plan, error) {
	all := slices.Concat(groups...)
	if len(all) == 0 {
		return plan{}, fmt.Errorf("read etcd: no path given")
	}
	for _, p := range all {
		if !strings.HasPrefix(p, "/") {
			return plan{}, fmt.Errorf("read etcd: path %q does not start with a slash", p)
		}
	}
	paths := backends.Minimize(all)
	index := make(map[string]int, len(paths))
	for i, p := range paths {
		index[p] = i
	}
	// Groups are joined as sets are: each path points to another of its set,
	// and the last one to itself.
	parent := make([]int, len(paths))
	for i := range parent {
		parent[i] = i
	}
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	for _, g := range groups {
		for i := 1; i < len(g); i++ {
			parent[find(index[covering(index, g[i])])] = find(index[covering(index, g[0])])
		}
	}
	var pl plan
	for i, p := range paths {
		for _, r := range rangesOf(p) {
			pl.ranges = append(pl.ranges, r)
			pl.group = append(pl.group, find(i))
		}
	}
	return pl, nil
}

// covering returns the path among those of index that covers path; Minimize
// left exactly one.
func covering(index map[string]int, path string) string {
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		for _, p := range []string{path[:i], path[:i+1]} {
			if _, ok := index[p]; ok {
				return p
			}
		}
	}
	return path
}
