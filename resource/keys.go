package resource

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"pc4patroni/backends"
)

// selects tells whether a key of the declaration covers a key of the store.
func selects(selected, key string) bool {
	if strings.HasSuffix(selected, "/") {
		return strings.HasPrefix(key, selected) && len(key) > len(selected)
	}
	rest, ok := strings.CutPrefix(key, selected)
	return ok && (rest == "" || rest[0] == '/')
}

// keys returns the prefix, the keys below the store's root, and the paths to
// read. Without prefix and keys, or with an empty list of keys, nothing is
// read, as in confd: nobody should load a whole store by accident.
func (r *fileReader) keys() (prefix string, keys, paths []string) {
	prefix = path.Join("/", cmp.Or(r.opts.Prefix, r.decl.Prefix))
	declared := r.decl.Keys
	named := r.file.IsDefined("template", "keys")
	switch {
	case named && len(declared) == 0, !named && r.missing("prefix") && r.opts.Prefix == "":
		return prefix, nil, nil
	case !named:
		declared = []string{"/"}
	}
	for _, key := range declared {
		if slices.Contains(strings.Split(key, "/"), "..") {
			r.fail("keys", "key %q leaves the prefix: write it without ..", key)
		}
		keys = append(keys, backends.Join(prefix, key))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return slices.ContainsFunc(keys, func(other string) bool { return other != key && selects(other, key) })
	})
	if prefix != "/" {
		return prefix, keys, []string{prefix + "/"}
	}
	return prefix, keys, sharedPaths(keys)
}

// sharedPaths returns the longest path that all keys, which are sorted, lie below
// or, where they have none in common or there is only one, each key by itself.
func sharedPaths(keys []string) []string {
	if len(keys) > 1 {
		shared := keys[0][:strings.LastIndexByte(keys[0], '/')+1]
		for !strings.HasPrefix(keys[len(keys)-1], shared) {
			shared = shared[:strings.LastIndexByte(shared[:len(shared)-1], '/')+1]
		}
		if shared != "/" {
			return []string{shared}
		}
	}
	var paths []string
	for _, key := range keys {
		paths = append(paths, key)
		if !strings.HasSuffix(key, "/") {
			paths = append(paths, key+"/")
		}
	}
	return paths
}

// SameKeys tells whether both see the same keys of the same backend.
func (res *Resource) SameKeys(other *Resource) bool {
	return res.Backend == other.Backend && res.Prefix == other.Prefix &&
		slices.Equal(res.Keys, other.Keys) && slices.Equal(res.Paths, other.Paths)
}

// Relative returns a key of the backend as the template sees it, and whether it
// sees it at all. A key keeps its own name: one with an empty, "." or ".."
// segment must not pass for another.
func (res *Resource) Relative(key string) (string, bool) {
	if !slices.ContainsFunc(res.Keys, func(selected string) bool { return selects(selected, key) }) {
		return "", false
	}
	return strings.TrimPrefix(key, res.root()), true
}

// Full returns the key of the backend that the template sees as relative.
func (res *Resource) Full(relative string) string { return res.root() + relative }

// root is the prefix as it stands in front of keys: "" where it is "/".
func (res *Resource) root() string { return strings.TrimSuffix(res.Prefix, "/") }
