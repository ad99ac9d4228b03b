package backends

import (
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
	return p == key || strings.HasSuffix(p, "/") && strings.HasPrefix(key, p)
}

// Minimize returns paths sorted and without those that another one of them
// covers, so that nothing is read or watched twice.
func Minimize(paths []string) []string {
	sorted := slices.Compact(slices.Sorted(slices.Values(paths)))
	given := make(map[string]bool, len(sorted))
	for _, p := range sorted {
		given[p] = true
	}
	return slices.DeleteFunc(sorted, func(p string) bool {
		for i := range len(p) - 1 {
			if p[i] == '/' && given[p[:i+1]] {
				return true
			}
		}
		return false
	})
}
