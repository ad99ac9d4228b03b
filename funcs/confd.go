package funcs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/kelseyhightower/memkv"

	"pc4patroni/internal/nearest"
)

// confdFuncs returns confd's functions under confd's names, with its meaning
// and its order of arguments. Where a call is an error in confd, some of them
// accept it; docs/template-functions.md says which.
func (e *Env) confdFuncs() template.FuncMap {
	return template.FuncMap{
		"exists": func(key string) bool { return e.Store.kv.Exists(key) },
		"get":    e.get,
		"gets":   func(pattern string) (memkv.KVPairs, error) { return e.Store.gets(pattern) },
		"getv":   e.getv,
		"getvs":  func(pattern string) ([]string, error) { return e.Store.getvs(pattern) },
		"ls":     func(dir string) []string { return e.Store.ls(dir) },
		"lsdir":  func(dir string) []string { return e.Store.lsdir(dir) },

		"base":       path.Base,
		"dir":        path.Dir,
		"split":      strings.Split,
		"join":       join,
		"replace":    strings.Replace,
		"contains":   strings.Contains,
		"trimSuffix": strings.TrimSuffix,
		"toUpper":    strings.ToUpper,
		"toLower":    strings.ToLower,
		"parseBool":  parseBool,

		"base64Encode": func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) },
		"base64Decode": base64Decode,
		"json":         jsonOf[map[string]any]("a JSON object"),
		"jsonArray":    jsonOf[[]any]("a JSON array"),
		"map":          mapOf,

		"reverse":        reverse,
		"sortByLength":   sortBy(func(text string) string { return text }),
		"sortKVByLength": sortBy(func(pair memkv.KVPair) string { return pair.Key }),

		"add": func(a, b any, more ...any) (int, error) {
			return arithmetic((*big.Int).Add, append([]any{a, b}, more...)...)
		},
		"sub": func(a, b any) (int, error) { return arithmetic((*big.Int).Sub, a, b) },
		"mul": func(a, b any, more ...any) (int, error) {
			return arithmetic((*big.Int).Mul, append([]any{a, b}, more...)...)
		},
		"div":  division((*big.Int).Quo),
		"mod":  division((*big.Int).Rem),
		"seq":  seq,
		"atoi": atoi,

		"getenv":     e.getenv,
		"datetime":   e.datetime,
		"fileExists": fileExists,
		"lookupIP":   e.lookupIP,
		"lookupIPV4": func(host string) ([]string, error) { return e.lookupFamily(host, ".") },
		"lookupIPV6": func(host string) ([]string, error) { return e.lookupFamily(host, ":") },
		"lookupSRV":  e.lookupSRV,

		// Of the fork abtreece/confd.
		"hostname":        os.Hostname,
		"lookupIfaceIPV4": func(name string) (string, error) { return lookupIface(name, "IPv4", netip.Addr.Is4) },
		"lookupIfaceIPV6": func(name string) (string, error) { return lookupIface(name, "IPv6", netip.Addr.Is6) },
	}
}

func (e *Env) get(key string) (memkv.KVPair, error) {
	pair, err := e.Store.kv.Get(key)
	if err != nil {
		return pair, e.missing(key)
	}
	return pair, nil
}

func (e *Env) getv(key string, otherwise ...string) (string, error) {
	pair, err := e.Store.kv.Get(key)
	switch {
	case err == nil:
		return pair.Value, nil
	case len(otherwise) > 0:
		return otherwise[0], nil
	}
	return "", e.missing(key)
}

// maxHints bounds the names that are searched for a hint, because a held resource
// renders, and fails, at each event.
const maxHints = 500

// missing says that key is not there, where it was looked for, and which key
// beside it may be meant.
func (e *Env) missing(key string) error {
	err := fmt.Errorf("%w: %s", memkv.ErrNotExist, shown(key))
	if prefix := strings.TrimSuffix(e.Prefix, "/"); prefix != "" {
		err = fmt.Errorf("%w (below the prefix %s)", err, prefix)
	}
	if !strings.HasPrefix(key, "/") && e.Store.kv.Exists("/"+key) {
		return fmt.Errorf("%w (did you mean %q?)", err, "/"+key)
	}
	dir := path.Dir(key)
	names := e.Store.ls(dir)
	names = names[:min(len(names), maxHints)]
	if near := nearest.To(path.Base(key), names); near != "" {
		return fmt.Errorf("%w (did you mean %q?)", err, path.Join(dir, near))
	}
	return err
}

// shown returns a key or path for an error message: as it is, or quoted if it
// holds what could be taken for the end of the line. Templates put keys
// together from values, which are not trusted.
func shown(key string) string {
	if quoted := strconv.Quote(key); len(quoted) != len(key)+2 {
		return quoted
	}
	return key
}

func (e *Env) getenv(name string, otherwise ...string) string {
	value := ""
	if e.Getenv != nil {
		value = e.Getenv(name)
	}
	if value == "" && len(otherwise) > 0 {
		return otherwise[0]
	}
	return value
}

func (e *Env) datetime() time.Time {
	e.UsedTime = true
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// fileExists is confd's: a file that cannot be examined counts as existing.
func fileExists(name string) bool {
	_, err := os.Stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// join puts separator between the items of a list: confd's (join LIST ","),
// and, as the two cannot be mistaken for each other, the order that a pipeline
// needs: (LIST | join ",").
func join(list, separator any) (string, error) {
	sep, ok := separator.(string)
	if first, isText := list.(string); isText && !ok {
		sep, ok, list = first, true, separator
	}
	if !ok {
		return "", fmt.Errorf("join needs a list and a separator, not %s and %s", describe(list), describe(separator))
	}
	items, err := texts(list)
	return strings.Join(items, sep), err
}

// texts returns the items of a list as they print.
func texts(list any) ([]string, error) {
	switch list := list.(type) {
	case []string:
		return list, nil
	case nil:
		return nil, nil
	}
	v := reflect.ValueOf(list)
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return nil, fmt.Errorf("%s is not a list", describe(list))
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = fmt.Sprint(v.Index(i).Interface())
	}
	return items, nil
}

// parseBool is strconv.ParseBool with an error that does not print the text,
// which may be the value of a key.
func parseBool(text string) (bool, error) {
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("the text is not a boolean; it may be 1, t, T, true, True, TRUE, 0, f, F, false, False, FALSE")
	}
	return value, nil
}

func base64Decode(text string) (string, error) {
	decoded, err := base64.StdEncoding.DecodeString(text)
	return string(decoded), err
}

// jsonOf makes json and jsonArray, which decode a JSON value of one kind. As in
// confd, null is an empty one.
func jsonOf[T map[string]any | []any](want string) func(text string) (T, error) {
	return func(text string) (T, error) {
		decoded, err := decodeJSON(text)
		if err != nil {
			return nil, err
		}
		switch value := decoded.(type) {
		case T:
			return value, nil
		case nil:
			return nil, nil
		case []any:
			return nil, errors.New("the text is a JSON array, not an object; use jsonArray")
		case map[string]any:
			return nil, errors.New("the text is a JSON object, not an array; use json")
		}
		return nil, fmt.Errorf("want %s, not %s", want, describe(decoded))
	}
}

func mapOf(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("a map is made of pairs of a key and a value, not of %d arguments", len(pairs))
	}
	made := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("the key of a map must be text, not %s", describe(pairs[i]))
		}
		made[key] = pairs[i+1]
	}
	return made, nil
}

// reverse returns a list in reverse order, and anything else as it is. Unlike
// confd's it does not change the list that it is given, and it knows every kind
// of list: confd's ignores what gets and jsonArray return.
func reverse(list any) any {
	v := reflect.ValueOf(list)
	if v.Kind() != reflect.Slice {
		return list
	}
	reversed := reflect.MakeSlice(v.Type(), 0, v.Len())
	for i := range v.Len() {
		reversed = reflect.Append(reversed, v.Index(v.Len()-1-i))
	}
	return reversed.Interface()
}

// sortBy makes a function that sorts a list by the length of a text in its
// items, the shortest first. Those of equal length keep their order.
func sortBy[T any](text func(T) string) func([]T) []T {
	return func(list []T) []T {
		sorted := slices.Clone(list)
		slices.SortStableFunc(sorted, func(a, b T) int { return len(text(a)) - len(text(b)) })
		return sorted
	}
}
