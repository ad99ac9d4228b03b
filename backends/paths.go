package backends

import (
	"iter"
	"path"
	"slices"
	"strings"
)

// Join returns the path of key below prefix, cleaned of doubled slashes, with
// a leading slash, and with a trailing one where key has it or is "/" or
// empty: below a prefix, "/" means all that is below it and not the key that
// is named like the prefix, which the store's permissions may not cover.
func Join(prefix, key string) string {
	joined := path.Join("/", prefix, key)
	below := strings.HasSuffix(key, "/") || strings.Trim(key, "/") == ""
	if below && joined != "/" {
		joined += "/"
	}
	return joined
}

// Covers tells whether p covers key.
func Covers(p, key string) bool {
	if below, ok := strings.CutSuffix(p, "/"); ok {
		return strings.HasPrefix(key, below+"/")
	}
	return key == p || strings.HasPrefix(key, p+"/")
}

// Minimize returns paths sorted and without those that another one of them
// covers, so that nothing is read or watched twice.
func Minimize(paths []string) []string {
	sorted := slices.Clone(paths)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	given := make(map[string]bool, len(sorted))
	for _, p := range sorted {
		given[p] = true
	}
	return slices.DeleteFunc(sorted, func(p string) bool {
		for q := range coverers(p) {
			if given[q] {
				return true
			}
		}
		return false
	})
}

// coverers yields every path but p itself that covers all that p covers.
func coverers(p string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(p) {
			if p[i] != '/' {
				continue
			}
			if i > 0 && !yield(p[:i]) {
				return
			}
			if i+1 < len(p) && !yield(p[:i+1]) {
				return
			}
		}
	}
}
