// Package tomlfile decodes TOML files that people write, and says everything
// that is wrong with one at once: each error names the file, the line and the
// key, and suggests the nearest right key.
//
// It knows no schema of its own; callers bring a struct. The parser is
// BurntSushi/toml. Its own decoding into structs is not used, because it stops
// at the first value of a wrong type, picks that one at random, takes keys in
// any case, and knows no line for a key that nobody asked for.
package tomlfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// File is a decoded file: what it defines, and where. It is not changed after
// Decode and may be used by several goroutines.
type File struct {
	path  string
	tree  map[string]any
	lines map[string]int
}

// Decode parses data and stores it in v, a pointer to a struct or to a
// map[string]any. path only serves in errors.
//
// Fields take the key of their `toml` tag; fields without one are left alone.
// Keys are matched exactly. Supported are strings, booleans, integers, floats,
// time.Duration (a string such as "1m30s", or a number of seconds), pointers,
// slices, structs, maps with string keys, any, and types that implement
// toml.Unmarshaler or encoding.TextUnmarshaler.
//
// Every unknown key and every value of a wrong type is an error of the form
// "PATH: line N: ...", all of them joined in the order of their lines. After
// such errors v holds what was right, and the File is usable, so that a caller
// can go on to find more mistakes. Only after a syntax error, which leaves
// nothing to look at, the File is empty. It is never nil.
//
// No error contains a value: it could be a password.
func Decode(path string, data []byte, v any) (*File, error) {
	f := &File{path: path}
	if _, err := toml.Decode(string(data), &f.tree); err != nil {
		return f, f.syntaxError(err)
	}
	f.lines = scanLines(data)

	a := assignment{file: f}
	a.root(f.tree, v)
	slices.SortStableFunc(a.errs, func(x, y located) int {
		return cmp.Or(cmp.Compare(x.line, y.line), cmp.Compare(x.err.Error(), y.err.Error()))
	})
	errs := make([]error, len(a.errs))
	for i, e := range a.errs {
		errs[i] = e.err
	}
	return f, errors.Join(errs...)
}

// Line returns the line, counted from 1, in which the key was written that
// keys lead to from the top of the file: Line("template", "src"). Of a table
// that is written in several places, and of the elements of an array of
// tables, it is the first. A key that the file does not define has line 0.
func (f *File) Line(keys ...string) int { return f.lines[joinKeys(keys)] }

// IsDefined tells whether the file defines the key, in whatever notation.
func (f *File) IsDefined(keys ...string) bool {
	_, ok := f.lookup(keys)
	return ok
}

// Value returns what the parser made of a key, or nil when the file does not
// define it: string, int64, float64, bool, time.Time, []any, map[string]any or
// []map[string]any.
func (f *File) Value(keys ...string) any {
	v, _ := f.lookup(keys)
	return v
}

func (f *File) lookup(keys []string) (any, bool) {
	var at any = f.tree
	for _, key := range keys {
		table, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = table[key]; !ok {
			return nil, false
		}
	}
	return at, len(keys) > 0
}

// Errorf returns an error about a key: "PATH: line N: " and the formatted
// message. For a key that the file does not define, the line is that of the
// innermost table around it that is defined; when there is none, or keys is
// empty, the error names the path alone. %w works as in fmt.Errorf.
func (f *File) Errorf(keys []string, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	for n := len(keys); n > 0; n-- {
		if line := f.Line(keys[:n]...); line > 0 {
			return fmt.Errorf("%s: line %d: %w", f.path, line, err)
		}
	}
	return fmt.Errorf("%s: %w", f.path, err)
}

// syntaxError rewrites the parser's error. The parser quotes the text that it
// did not understand, which may be half a password: of values it says nothing.
func (f *File) syntaxError(err error) error {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	message := parse.Message
	if strings.HasPrefix(message, "expected value but found") || isSecret(parse.LastKey) {
		message = "this is not a TOML value (text needs quotes)"
		if parse.LastKey != "" {
			message = fmt.Sprintf("the value of %q is not TOML (text needs quotes)", parse.LastKey)
		}
	}
	return fmt.Errorf("%s: line %d: %s", f.path, parse.Position.Line, message)
}

// isSecret tells whether the value of a key must not be shown, judged by the
// key's name.
func isSecret(key string) bool {
	key = strings.ToLower(key)
	return strings.Contains(key, "pass") || strings.Contains(key, "secret") || strings.Contains(key, "token")
}

// joinKeys makes a map key of a path of keys. A quoted key may hold any
// character, so each is prefixed with its length.
func joinKeys(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&b, "%d:%s", len(key), key)
	}
	return b.String()
}
