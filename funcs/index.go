package funcs

import (
	"path"
	"slices"
	"strings"
)

// index holds the clean keys of a store in order, so that what lies below a
// directory is one range, found by binary search. A key is clean when it is
// rooted and path.Clean leaves it alone: for those, memkv's comparison of
// cleaned path terms is the same as being in that range.
type index []string

// isClean reports whether key is a rooted path in its shortest form, and not
// the root itself.
func isClean(key string) bool {
	return len(key) > 1 && key[0] == '/' && path.Clean(key) == key
}

// before reports whether key sorts before dir followed by the byte next. It is
// a comparison with dir + string(next) that does not build that string.
func before(key, dir string, next byte) bool {
	if len(key) <= len(dir) {
		return key <= dir
	}
	if head := key[:len(dir)]; head != dir {
		return head < dir
	}
	return key[len(dir)] < next
}

// end finds the first key at or after from that does not sort before dir
// followed by next. It doubles its step from there, because most of the ranges
// that templates ask for are a handful of keys in a store of thousands.
func (x index) end(from int, dir string, next byte) int {
	step := 1
	low := from
	for low+step <= len(x) && before(x[low+step-1], dir, next) {
		low += step
		step *= 2
	}
	high := min(low+step, len(x))
	for low < high {
		middle := int(uint(low+high) / 2)
		if before(x[middle], dir, next) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// under returns the range of keys below dir, which is "" for the root and else
// a clean path. The byte after the slash in ASCII bounds the range.
func (x index) under(dir string) (low, high int) {
	low = x.end(0, dir, '/')
	return low, x.end(low, dir, '/'+1)
}

// insert adds key in its place and reports whether it is new.
func (x *index) insert(key string) bool {
	at, found := slices.BinarySearch(*x, key)
	if !found {
		*x = slices.Insert(*x, at, key)
	}
	return !found
}

// remove takes key out and reports whether it was there.
func (x *index) remove(key string) bool {
	at, found := slices.BinarySearch(*x, key)
	if found {
		*x = slices.Delete(*x, at, at+1)
	}
	return found
}

// children calls visit for every name directly below dir, whose keys are
// x[low:high]. A name that is both a key and a directory is visited once as
// each, not always one after the other: "/a", "/a-b", "/a/c" is the order of
// keys. For a key, from and to are where it is; for a directory, its range.
func (x index) children(dir string, low, high int, visit func(name string, isDir bool, from, to int)) {
	start := len(dir) + 1
	for i := low; i < high; {
		name, _, isDir := strings.Cut(x[i][start:], "/")
		next := i + 1
		if isDir {
			next = x.end(next, x[i][:start+len(name)], '/'+1)
		}
		visit(name, isDir, i, next)
		i = next
	}
}

// directory splits what templates write for a directory, "/a/b" or "/a/b/",
// into the clean path and whether a slash followed it.
func directory(filePath string) (dir string, slashed, ok bool) {
	dir, slashed = strings.CutSuffix(filePath, "/")
	return dir, slashed, isClean(dir)
}

// list is memkv's List among clean keys. It does not know the answer for a
// path that is rooted but not clean, because memkv strips the path from each
// key as it is written.
func (x index) list(filePath string) (names []string, known bool) {
	switch dir, slashed, ok := directory(filePath); {
	case ok:
		if _, found := slices.BinarySearch(x, dir); found && !slashed {
			names = append(names, path.Base(dir))
		}
		low, high := x.under(dir)
		x.children(dir, low, high, func(name string, _ bool, _, _ int) {
			names = append(names, name)
		})
	case filePath == "/":
		// memkv splits "/" into two empty terms, which no deeper directory
		// begins with: ls "/" gives the keys at the top and no directories.
		x.children("", 0, len(x), func(name string, isDir bool, _, _ int) {
			if !isDir {
				names = append(names, name)
			}
		})
	case strings.HasPrefix(filePath, "/"):
		return nil, false
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// listDir is memkv's ListDir among clean keys, with the same limit as list.
func (x index) listDir(filePath string) (names []string, known bool) {
	switch dir, _, ok := directory(filePath); {
	case ok:
		low, high := x.under(dir)
		x.children(dir, low, high, func(name string, isDir bool, _, _ int) {
			if isDir {
				names = append(names, name)
			}
		})
	case filePath == "/":
		// The two empty terms again: memkv finds no directory below "/".
	case strings.HasPrefix(filePath, "/"):
		return nil, false
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// match returns the clean keys that match a pattern of path.Match, in order.
func (x index) match(pattern string) ([]string, error) {
	var found []string
	switch first := strings.IndexAny(pattern, `*?[\`); {
	case strings.ContainsAny(pattern, `[\`):
		// A character class can match a slash, so the pattern cannot be cut at
		// its slashes. What stands before its first special character still
		// bounds the keys that can match.
		if _, err := path.Match(pattern, ""); err != nil && len(x) > 0 {
			return nil, err
		}
		low, _ := slices.BinarySearch(x, pattern[:first])
		for _, key := range x[low:] {
			if !strings.HasPrefix(key, pattern[:first]) {
				break
			}
			if ok, _ := path.Match(pattern, key); ok {
				found = append(found, key)
			}
		}
	case first < 0:
		if _, ok := slices.BinarySearch(x, pattern); ok {
			found = append(found, pattern)
		}
	default:
		// A clean key begins with a slash, so the first name of the pattern
		// is empty or stars that stand for nothing.
		if name, rest, deeper := strings.Cut(pattern, "/"); deeper && strings.Trim(name, "*") == "" {
			x.descend("", 0, len(x), rest, &found)
		}
	}
	return found, nil
}

// descend appends the keys among x[low:high], all below dir, whose remaining
// path matches the pattern rest. Neither * nor ? matches a slash, so the
// pattern goes down the tree one name at a time and whole directories that do
// not match are stepped over.
func (x index) descend(dir string, low, high int, rest string, found *[]string) {
	pattern, rest, deeper := strings.Cut(rest, "/")
	if !strings.ContainsAny(pattern, "*?") {
		name := dir + "/" + pattern
		if !deeper {
			if at, ok := slices.BinarySearch(x[low:high], name); ok {
				*found = append(*found, x[low+at])
			}
		} else if isClean(name) {
			from, to := x.under(name)
			x.descend(name, from, to, rest, found)
		}
		return
	}
	x.children(dir, low, high, func(name string, isDir bool, from, to int) {
		if isDir != deeper {
			return
		}
		if ok, _ := path.Match(pattern, name); !ok {
			return
		}
		if deeper {
			x.descend(x[from][:len(dir)+1+len(name)], from, to, rest, found)
		} else {
			*found = append(*found, x[from])
		}
	})
}
