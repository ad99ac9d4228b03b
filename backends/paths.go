package backends

import (
	"path"
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
