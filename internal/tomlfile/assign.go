package tomlfile

import (
	"encoding"
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

// assignment stores a parsed tree in Go values and collects what does not fit.
type assignment struct {
	file *File
	errs []located
}

// located is an error with the line it is about, to sort by.
type located struct {
	line int
	err  error
}

var durationType = reflect.TypeFor[time.Duration]()

// root stores the whole tree in v. A v of another type than Decode asks for is
// a mistake in this program, not in the file.
func (a *assignment) root(tree map[string]any, v any) {
	if m, ok := v.(*map[string]any); ok {
		*m = tree
		return
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() || rv.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("tomlfile: cannot decode into a %T", v))
	}
	a.table(nil, tree, rv.Elem())
}

func (a *assignment) fail(keys []string, format string, args ...any) {
	a.errs = append(a.errs, located{
		line: a.file.Line(keys...),
		err:  a.file.Errorf(keys, format, args...),
	})
}

// mismatch reports a value of the wrong type.
func (a *assignment) mismatch(keys []string, want string, got any) {
	a.fail(keys, "key %q must be %s, not %s", keys[len(keys)-1], want, describe(got))
}

// value stores data, the value of the key at the end of keys, in target.
func (a *assignment) value(keys []string, data any, target reflect.Value) {
	switch u := target.Addr().Interface().(type) {
	case toml.Unmarshaler:
		if err := u.UnmarshalTOML(data); err != nil {
			a.fail(keys, "key %q: %w", keys[len(keys)-1], err)
		}
		return
	case encoding.TextUnmarshaler:
		text, ok := data.(string)
		if !ok {
			a.mismatch(keys, "a string", data)
		} else if err := u.UnmarshalText([]byte(text)); err != nil {
			a.fail(keys, "key %q: %w", keys[len(keys)-1], err)
		}
		return
	}
	if target.Type() == durationType {
		a.duration(keys, data, target)
		return
	}
	switch target.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(target.Type().Elem())
		a.value(keys, data, fresh.Elem())
		target.Set(fresh)
	case reflect.Interface:
		target.Set(reflect.ValueOf(data))
	case reflect.Struct:
		a.structure(keys, data, target)
	case reflect.Map:
		a.mapping(keys, data, target)
	case reflect.Slice:
		a.slice(keys, data, target)
	default:
		a.scalar(keys, data, target)
	}
}

func (a *assignment) scalar(keys []string, data any, target reflect.Value) {
	switch target.Kind() {
	case reflect.String:
		if s, ok := data.(string); ok {
			target.SetString(s)
			return
		}
		a.mismatch(keys, "a string", data)
	case reflect.Bool:
		if b, ok := data.(bool); ok {
			target.SetBool(b)
			return
		}
		a.mismatch(keys, "true or false", data)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := data.(int64)
		if !ok {
			a.mismatch(keys, "an integer", data)
		} else if target.OverflowInt(n) {
			a.fail(keys, "key %q is out of range", keys[len(keys)-1])
		} else {
			target.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, ok := data.(int64)
		if !ok {
			a.mismatch(keys, "an integer", data)
		} else if n < 0 || target.OverflowUint(uint64(n)) {
			a.fail(keys, "key %q is out of range", keys[len(keys)-1])
		} else {
			target.SetUint(uint64(n))
		}
	case reflect.Float32, reflect.Float64:
		switch n := data.(type) {
		case float64:
			target.SetFloat(n)
		case int64:
			target.SetFloat(float64(n))
		default:
			a.mismatch(keys, "a number", data)
		}
	default:
		panic(fmt.Sprintf("tomlfile: cannot decode into a %s", target.Type()))
	}
}

// duration takes "1m30s" or a number of seconds.
func (a *assignment) duration(keys []string, data any, target reflect.Value) {
	const want = `a duration such as "30s", or a number of seconds`
	seconds := 0.0
	switch d := data.(type) {
	case string:
		parsed, err := time.ParseDuration(d)
		if err != nil {
			a.fail(keys, "key %q must be %s", keys[len(keys)-1], want)
			return
		}
		target.SetInt(int64(parsed))
		return
	case int64:
		seconds = float64(d)
	case float64:
		seconds = d
	default:
		a.mismatch(keys, want, data)
		return
	}
	nanoseconds := seconds * float64(time.Second)
	// The comparison is written so that NaN fails it.
	if !(math.Abs(nanoseconds) < math.MaxInt64) {
		a.fail(keys, "key %q is out of range", keys[len(keys)-1])
		return
	}
	target.SetInt(int64(nanoseconds))
}

func (a *assignment) slice(keys []string, data any, target reflect.Value) {
	list := reflect.ValueOf(data)
	if list.Kind() != reflect.Slice {
		a.mismatch(keys, "an array", data)
		return
	}
	fresh := reflect.MakeSlice(target.Type(), list.Len(), list.Len())
	for i := range list.Len() {
		a.value(keys, list.Index(i).Interface(), fresh.Index(i))
	}
	target.Set(fresh)
}

func (a *assignment) mapping(keys []string, data any, target reflect.Value) {
	table, ok := data.(map[string]any)
	if !ok {
		a.mismatch(keys, "a table", data)
		return
	}
	fresh := reflect.MakeMapWithSize(target.Type(), len(table))
	for key, datum := range table {
		element := reflect.New(target.Type().Elem()).Elem()
		a.value(extend(keys, key), datum, element)
		fresh.SetMapIndex(reflect.ValueOf(key), element)
	}
	target.Set(fresh)
}

func (a *assignment) structure(keys []string, data any, target reflect.Value) {
	table, ok := data.(map[string]any)
	if !ok {
		a.mismatch(keys, "a table", data)
		return
	}
	a.table(keys, table, target)
}

func (a *assignment) table(keys []string, table map[string]any, target reflect.Value) {
	known := fieldsOf(target.Type())
	for key, datum := range table {
		path := extend(keys, key)
		index, ok := known[key]
		if !ok {
			a.fail(path, "unknown key %q%s", key, a.hint(keys, key, target.Type()))
			continue
		}
		a.value(path, datum, target.FieldByIndex(index))
	}
}

// hint suggests what an unknown key was meant to be: the same name in another
// spelling, a name of another table of the file, or the nearest name.
func (a *assignment) hint(keys []string, key string, t reflect.Type) string {
	here := fieldsOf(t)
	canonical := strings.ReplaceAll(strings.ToLower(key), "-", "_")
	names := slices.Sorted(maps.Keys(here))
	for _, name := range names {
		if canonical == strings.ReplaceAll(strings.ToLower(name), "-", "_") {
			return fmt.Sprintf(" (did you mean %q?)", name)
		}
	}
	if len(keys) == 0 {
		for _, name := range names {
			field := t.FieldByIndex(here[name]).Type
			if field.Kind() == reflect.Pointer {
				field = field.Elem()
			}
			if field.Kind() == reflect.Struct && fieldsOf(field)[key] != nil {
				return fmt.Sprintf(" here (it belongs below [%s])", name)
			}
		}
	}
	return nearest.Hint(key, slices.Values(names))
}

// fieldsOf returns the fields of a struct by the name of their toml tag, those
// of embedded structs included.
func fieldsOf(t reflect.Type) map[string][]int {
	fields := make(map[string][]int)
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if name != "" && name != "-" && f.IsExported() {
			fields[name] = f.Index
		}
	}
	return fields
}

// extend returns keys with one more, without touching the array below keys.
func extend(keys []string, key string) []string {
	return append(keys[:len(keys):len(keys)], key)
}

// describe says in words what kind of value the file holds. It never says the
// value.
func describe(data any) string {
	switch data.(type) {
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
	default:
		return "an array"
	}
}
