// Package tomlfile decodes TOML files that people write, and reports all that
// is wrong with one at once: each error names the file, the line and the key,
// and suggests the nearest right key.
//
// Callers bring a struct. BurntSushi/toml parses the file and decodes single
// values. Its decoding of whole structs is not used: it stops at the first wrong
// value, and it takes keys in any case.
package tomlfile

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// File is a decoded file: what it defines, and where. It is not changed after
// Decode and may be used by several goroutines.
type File struct {
	path  string
	meta  toml.MetaData
	tree  map[string]any
	lines map[string]int // by toml.Key.String
}

// Decode parses data and stores it in v, a pointer to a struct or to a
// map[string]any. path only serves in errors.
//
// Fields take the key of their `toml` tag, matched exactly; fields without one
// are left alone. A field is a string, a boolean, an integer, a time.Duration
// (a string such as "1m30s", or a number of seconds), a slice of strings, a
// struct, a map[string]any or an any, or a pointer to one of these but a struct.
//
// Every unknown key and every value of a wrong type is an error of the form
// "PATH: line N: ...", all of them joined in the order of their lines. Even then
// v holds what was right, and the File is usable, so that a caller can find more
// mistakes; after a syntax error the File is empty. It is never nil. No error
// contains a value: it could be a password.
func Decode(path string, data []byte, v any) (*File, error) {
	f := &File{path: path, lines: make(map[string]int)}
	if _, err := toml.Decode(string(data), &f.tree); err != nil {
		return f, f.syntaxError(err)
	}
	var top map[string]toml.Primitive
	f.meta, _ = toml.Decode(string(data), &top) // takes what the tree took
	if tree, ok := v.(*map[string]any); ok {
		*tree = f.tree
	}
	d := &decoder{File: f, text: strings.Split(string(data), "\n")}
	d.table(nil, top, reflect.ValueOf(v).Elem())
	Sort(d.errs)
	return f, errors.Join(d.errs...)
}

// line returns the line, counted from 1, of a key: line("template", "src"). It is
// 0 for one that the file does not define, and in an array of tables.
func (f *File) line(keys ...string) int { return f.lines[toml.Key(keys).String()] }

// IsDefined tells whether the file defines the key, in whatever notation.
func (f *File) IsDefined(keys ...string) bool { return f.meta.IsDefined(keys...) }

// Value returns what BurntSushi/toml made of a key, or nil when the file does not
// define it.
func (f *File) Value(keys ...string) any {
	var at any = f.tree
	for _, key := range keys {
		table, _ := at.(map[string]any)
		at = table[key]
	}
	return at
}

// lineError is an error with the line that it is about.
type lineError struct {
	line int
	error
}

func (e *lineError) Unwrap() error { return e.error }

// Errorf returns an error about a key: "PATH: line N: " and the formatted
// message. For a key that the file does not define, the line is that of the
// innermost table around it that is defined; when there is none, or keys is
// empty, the error names the path alone. %w works as in fmt.Errorf.
func (f *File) Errorf(keys []string, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	for n := len(keys); n > 0; n-- {
		if line := f.line(keys[:n]...); line > 0 {
			return &lineError{line, fmt.Errorf("%s: line %d: %w", f.path, line, err)}
		}
	}
	return fmt.Errorf("%s: %w", f.path, err)
}

// Sort puts errors in the order of the lines that they are about.
func Sort(errs []error) {
	line := func(err error) int {
		if at, ok := errors.AsType[*lineError](err); ok {
			return at.line
		}
		return 0
	}
	slices.SortStableFunc(errs, func(a, b error) int {
		return cmp.Or(cmp.Compare(line(a), line(b)), cmp.Compare(a.Error(), b.Error()))
	})
}

// syntaxError rewrites the parser's error. The parser quotes the text that it
// did not understand, which may be half a password: of values it says nothing.
func (f *File) syntaxError(err error) error {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	message := parse.Message
	if strings.HasPrefix(message, "expected value but found") || secretKey.MatchString(parse.LastKey) {
		message = "this is not a TOML value (text needs quotes)"
		if parse.LastKey != "" {
			message = fmt.Sprintf("the value of %q is not TOML (text needs quotes)", parse.LastKey)
		}
	}
	return fmt.Errorf("%s: line %d: %s", f.path, parse.Position.Line, message)
}

// secretKey matches the names of keys whose values must not be shown.
var secretKey = regexp.MustCompile(`(?i)pass|secret|token`)
