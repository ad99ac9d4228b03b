package tomlfile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"pc4patroni/internal/nearest"
)

// assignment stores a parsed file in a struct and collects what does not fit.
type assignment struct {
	file *File
	meta *toml.MetaData
	errs []located
}

// located is an error with the line it is about, to sort by.
type located struct {
	line int
	err  error
}

func (f *File) assign(meta *toml.MetaData, top map[string]toml.Primitive, v any) error {
	a := assignment{file: f, meta: meta}
	a.table(nil, top, reflect.ValueOf(v).Elem())
	slices.SortStableFunc(a.errs, func(x, y located) int {
		return cmp.Or(cmp.Compare(x.line, y.line), cmp.Compare(x.err.Error(), y.err.Error()))
	})
	errs := make([]error, len(a.errs))
	for i, e := range a.errs {
		errs[i] = e.err
	}
	return errors.Join(errs...)
}

func (a *assignment) fail(keys toml.Key, format string, args ...any) {
	a.errs = append(a.errs, located{a.file.Line(keys...), a.file.Errorf(keys, format, args...)})
}

func (a *assignment) table(keys toml.Key, table map[string]toml.Primitive, target reflect.Value) {
	known := fieldsOf(target.Type())
	for key, value := range table {
		path := extend(keys, key)
		index, ok := known[key]
		if !ok {
			a.fail(path, "unknown key %q%s", key, hint(keys, key, target.Type()))
			continue
		}
		field := target.Field(index)
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		a.value(path, value, field)
	}
}

// value stores the value of the key at the end of keys in target.
func (a *assignment) value(keys toml.Key, value toml.Primitive, target reflect.Value) {
	name := keys[len(keys)-1]
	data := a.file.Value(keys...)
	if _, isTable := data.(map[string]any); !isTable && (target.Kind() == reflect.Struct || target.Kind() == reflect.Map) {
		a.fail(keys, "key %q must be a table, not %s", name, describe(data))
		return
	}
	if target.Kind() == reflect.Struct {
		var inner map[string]toml.Primitive
		_ = a.meta.PrimitiveDecode(value, &inner) // takes every table
		a.table(keys, inner, target)
		return
	}
	if d, ok := target.Addr().Interface().(*time.Duration); ok {
		var err error
		if *d, err = duration(data); err != nil {
			a.fail(keys, "key %q %w", name, err)
		}
		return
	}
	if a.meta.PrimitiveDecode(value, target.Addr().Interface()) != nil {
		a.fail(keys, "key %q must be %s, not %s", name, wanted(target.Kind()), describe(data))
	}
}

// duration takes "1m30s" or a number of seconds.
func duration(data any) (time.Duration, error) {
	wrong := errors.New(`must be a duration such as "30s", or a number of seconds`)
	seconds := 0.0
	switch d := data.(type) {
	case string:
		parsed, err := time.ParseDuration(d)
		if err != nil {
			return 0, wrong
		}
		return parsed, nil
	case int64:
		seconds = float64(d)
	case float64:
		seconds = d
	default:
		return 0, wrong
	}
	nanoseconds := seconds * float64(time.Second)
	// The comparison is written so that NaN fails it.
	if !(math.Abs(nanoseconds) < math.MaxInt64) {
		return 0, errors.New("is out of range")
	}
	return time.Duration(nanoseconds), nil
}

// hint suggests what an unknown key was meant to be: the same name in another
// spelling, a name of another table of the file, or the nearest name.
func hint(keys toml.Key, key string, t reflect.Type) string {
	here := fieldsOf(t)
	canonical := strings.ReplaceAll(strings.ToLower(key), "-", "_")
	if _, ok := here[canonical]; ok {
		return fmt.Sprintf(" (did you mean %q?)", canonical)
	}
	names := slices.Sorted(maps.Keys(here))
	if len(keys) == 0 {
		for _, name := range names {
			field := t.Field(here[name]).Type
			if field.Kind() != reflect.Struct {
				continue
			}
			if _, ok := fieldsOf(field)[key]; ok {
				return fmt.Sprintf(" here (it belongs below [%s])", name)
			}
		}
	}
	return nearest.Hint(key, slices.Values(names))
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
func wanted(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array of strings"
	default:
		return "an integer"
	}
}

// describe says in words what kind of value the file holds. It never says the
// value.
func describe(data any) string {
	switch v := data.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	case []any:
		for _, element := range v {
			if _, ok := element.(string); !ok {
				return "an array with " + describe(element)
			}
		}
	}
	return "an array"
}
