// Package tomlfile decodes TOML files that people write, and reports all that
// is wrong with one at once: each error names the file, the line and the key,
// and suggests the nearest right key.
//
// It knows no schema of its own; callers bring a struct. BurntSushi/toml
// parses the file, knows the lines and decodes single values. Its decoding of
// whole structs is not used: it stops at the first wrong value, and it takes
// keys in any case.
package tomlfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// File is a decoded file: what it defines, and where. It is not changed after
// Decode and may be used by several goroutines.
type File struct {
	path  string
	tree  map[string]any
	lines map[string]int // by toml.Key.String
}

// Decode parses data and stores it in v, a pointer to a struct or to a
// map[string]any. path only serves in errors.
//
// Fields take the key of their `toml` tag, matched exactly; fields without one
// are left alone. A field is a string, a boolean, an integer, a time.Duration
// (a string such as "1m30s", or a number of seconds), a slice of strings, a
// struct, a map[string]any or an any, or a pointer to one of these.
//
// Every unknown key and every value of a wrong type is an error of the form
// "PATH: line N: ...", all of them joined in the order of their lines. After
// such errors v holds what was right, and the File is usable, so that a caller
// can go on to find more mistakes. Only after a syntax error, which leaves
// nothing to look at, the File is empty. It is never nil.
//
// No error contains a value: it could be a password.
func Decode(path string, data []byte, v any) (*File, error) {
	f := &File{path: path, lines: make(map[string]int)}
	var top map[string]toml.Primitive
	meta, err := toml.Decode(string(data), &top)
	if err != nil {
		return f, f.syntaxError(err)
	}
	f.tree, _ = f.index(&meta, strings.Split(string(data), "\n"), nil, top)
	if tree, ok := v.(*map[string]any); ok {
		*tree = f.tree
		return f, nil
	}
	return f, f.assign(&meta, top, v)
}

// index returns the table as a tree of plain values. It notes the line of
// every key in it, and returns the first of them.
func (f *File) index(meta *toml.MetaData, text []string, path toml.Key, table map[string]toml.Primitive) (tree map[string]any, first int) {
	tree = make(map[string]any, len(table))
	for key, value := range table {
		at := extend(path, key)
		line := lineOf(meta, text, key, value)
		var plain any
		_ = meta.PrimitiveDecode(value, &plain) // an any takes everything
		if _, ok := plain.(map[string]any); ok {
			var inner map[string]toml.Primitive
			_ = meta.PrimitiveDecode(value, &inner) // and this takes every table
			var below int
			plain, below = f.index(meta, text, at, inner)
			if line == 0 {
				line = below // of a dotted key only the last part has a position
			}
		}
		tree[key] = plain
		f.lines[at.String()] = line
		if first == 0 || line > 0 && line < first {
			first = line
		}
	}
	return tree, first
}

// lineOf returns the line of a key. The parser tells the position of a value,
// and only in its errors, so it gets one. Of a text of several lines that is
// the last line: the key stands at the beginning of one above it.
func lineOf(meta *toml.MetaData, text []string, key string, value toml.Primitive) int {
	var refused toml.ParseError
	errors.As(meta.PrimitiveDecode(value, refusal{}), &refused)
	last := refused.Position.Line
	for n := last; n > 0; n-- {
		if n == last && strings.Contains(text[n-1], key) {
			break
		}
		if rest, ok := strings.CutPrefix(strings.TrimSpace(text[n-1]), key); ok && strings.HasPrefix(strings.TrimSpace(rest), "=") {
			return n
		}
	}
	return last
}

// refusal is a value that no TOML can be decoded into.
type refusal struct{}

func (refusal) UnmarshalTOML(any) error { return errors.New("refused") }

// Line returns the line, counted from 1, of the key that keys lead to from the
// top of the file: Line("template", "src"). A key that the file does not
// define has line 0, and so have the keys in an array of tables.
func (f *File) Line(keys ...string) int { return f.lines[toml.Key(keys).String()] }

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

// extend returns keys with one more, without touching the array below keys.
func extend(keys toml.Key, key string) toml.Key {
	return append(keys[:len(keys):len(keys)], key)
}
