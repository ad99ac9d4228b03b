package tomlfile

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"pc4patroni/internal/nearest"
)

// decoder finds the line of every key of a parsed file, stores the values in a
// struct, and collects what does not fit.
type decoder struct {
	*File
	text []string // the lines of the file
	errs []error
}

// table works the table at path. Where target is a struct, it takes the values.
// table returns the line of the first key.
func (d *decoder) table(path toml.Key, table map[string]toml.Primitive, target reflect.Value) (first int) {
	var fields map[string]int
	if target.Kind() == reflect.Struct {
		fields = fieldsOf(target.Type())
	}
	for key, value := range table {
		at := append(path[:len(path):len(path)], key)
		var field reflect.Value
		index, known := fields[key]
		if known {
			field = target.Field(index)
		}
		line := d.lineOf(key, value)
		if _, ok := d.Value(at...).(map[string]any); ok {
			var inner map[string]toml.Primitive
			_ = d.meta.PrimitiveDecode(value, &inner) // takes every table
			if below := d.table(at, inner, field); line == 0 {
				line = below // of a dotted key only the last part has a position
			}
		}
		d.lines[at.String()] = line
		if first == 0 || line > 0 && line < first {
			first = line
		}
		if known {
			d.store(at, value, field)
		} else if fields != nil {
			d.errs = append(d.errs, d.Errorf(at, "unknown key %q%s", key, hint(path, key, target.Type())))
		}
	}
	return first
}

// store puts the value of the key at the end of keys in field. A struct has
// been filled before.
func (d *decoder) store(keys toml.Key, value toml.Primitive, field reflect.Value) {
	for field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	_, isTable := d.Value(keys...).(map[string]any)
	var fits bool
	switch {
	case field.Type() == reflect.TypeFor[time.Duration]():
		duration, err := ParseDuration(fmt.Sprint(d.Value(keys...)))
		if fits = err == nil; fits {
			field.SetInt(int64(duration))
		}
	case field.Kind() == reflect.Struct, field.Kind() == reflect.Map && !isTable:
		fits = isTable
	default:
		fits = d.meta.PrimitiveDecode(value, field.Addr().Interface()) == nil
	}
	if !fits {
		d.errs = append(d.errs, d.Errorf(keys, "key %q must be %s", keys[len(keys)-1], wanted(field.Type())))
	}
}

// lineOf returns the line of a key. The parser tells the position of a value,
// and only in its errors, so it gets one. Of a text of several lines that is
// the last line: the key stands at the beginning of one above it.
func (d *decoder) lineOf(key string, value toml.Primitive) int {
	var refused toml.ParseError
	errors.As(d.meta.PrimitiveDecode(value, refusal{}), &refused)
	last := refused.Position.Line
	for n := last; n > 0; n-- {
		if n == last && strings.Contains(d.text[n-1], key) {
			break
		}
		if rest, ok := strings.CutPrefix(strings.TrimSpace(d.text[n-1]), key); ok && strings.HasPrefix(strings.TrimSpace(rest), "=") {
			return n
		}
	}
	return last
}

// refusal is a value that no TOML can be decoded into.
type refusal struct{}

func (refusal) UnmarshalTOML(any) error { return errors.New("refused") }

// ParseDuration takes "1m30s", or a number of seconds as confd does.
func ParseDuration(text string) (time.Duration, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	nanoseconds := seconds * float64(time.Second)
	// The comparison is written so that NaN fails it.
	if err != nil || !(math.Abs(nanoseconds) < math.MaxInt64) {
		return 0, fmt.Errorf("must be a number of seconds, or a duration such as 1m30s, not %q", text)
	}
	return time.Duration(nanoseconds), nil
}

// hint suggests what an unknown key was meant to be: a name of another table of
// the file, or the nearest name here.
func hint(path toml.Key, key string, t reflect.Type) string {
	known := fieldsOf(t)
	names := slices.Sorted(maps.Keys(known))
	for _, name := range names {
		field := t.Field(known[name]).Type
		if len(path) > 0 || field.Kind() != reflect.Struct {
			continue
		}
		if _, ok := fieldsOf(field)[key]; ok {
			return fmt.Sprintf(" here (it belongs in [%s])", name)
		}
	}
	return nearest.Hint(strings.ReplaceAll(strings.ToLower(key), "-", "_"), names)
}

// fieldsOf returns the index of each field of a struct by its toml tag.
func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int)
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("toml"); name != "" {
			fields[name] = i
		}
	}
	return fields
}

// wanted says in words what a field takes.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return `a number of seconds, or a duration such as "1m30s"`
	case t.Kind() == reflect.String:
		return "a string, in quotes"
	case t.Kind() == reflect.Bool:
		return "true or false, without quotes"
	case t.Kind() == reflect.Slice:
		return "an array of strings"
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		return "a table"
	default:
		return "an integer, without quotes"
	}
}
