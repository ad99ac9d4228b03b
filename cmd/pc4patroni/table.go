package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pc4patroni/internal/nearest"
)

// keyError is what is wrong with a key of a TOML table.
type keyError struct {
	key string
	err error
}

func (e keyError) Error() string { return e.err.Error() }

func (e keyError) Unwrap() error { return e.err }

// tableValues reads the options that a TOML table assigns, in an order that
// does not depend on the table's. Those for which allowed is false count as
// unknown.
func tableValues(table map[string]any, allowed func(*option) bool) (values []assigned, errs []keyError) {
	by := make(map[*option]string)
	for _, key := range slices.Sorted(maps.Keys(table)) {
		fail := func(format string, args ...any) {
			errs = append(errs, keyError{key, fmt.Errorf(format, args...)})
		}
		o := optionByKey(key, allowed)
		if o == nil {
			if why, ok := confdOnly[dashes(key)]; ok {
				fail("key %q %s", key, why)
			} else {
				fail("unknown key %q%s", key, hintKey(key, allowed))
			}
			continue
		}
		if other, twice := by[o]; twice {
			fail("key %q means the same as %q; keep one of them", key, other)
			continue
		}
		by[o] = key
		texts, want := tomlTexts(o.kind, table[key])
		if want != "" {
			fail("key %q must be %s", key, want)
			continue
		}
		for _, text := range texts {
			if err := o.set(&settings{}, text); err != nil {
				fail("key %q %w", key, err)
				break
			}
			values = append(values, assigned{o, text})
		}
	}
	return values, errs
}

// tomlTexts writes a TOML value as it would stand on the command line. For a
// value of the wrong type it says what the type must be instead.
func tomlTexts(k kind, value any) (texts []string, want string) {
	switch k {
	case aBool:
		if b, ok := value.(bool); ok {
			return []string{strconv.FormatBool(b)}, ""
		}
		return nil, "true or false, without quotes"
	case aDuration:
		switch v := value.(type) {
		case string:
			return []string{v}, ""
		case int64:
			return []string{strconv.FormatInt(v, 10)}, ""
		case float64:
			return []string{strconv.FormatFloat(v, 'g', -1, 64)}, ""
		}
		return nil, `a number of seconds, or a duration such as "1m30s"`
	case aList:
		switch v := value.(type) {
		case string:
			return []string{v}, ""
		case []any:
			for _, element := range v {
				text, ok := element.(string)
				if !ok {
					return nil, "an array of strings"
				}
				texts = append(texts, text)
			}
			return texts, ""
		}
		return nil, "an array of strings"
	default:
		if v, ok := value.(string); ok {
			return []string{v}, ""
		}
		return nil, "a string, in quotes"
	}
}

// optionByKey finds an option by its name, with dashes or underscores, or by
// one of confd's names for it.
func optionByKey(key string, allowed func(*option) bool) *option {
	key = dashes(key)
	for i := range options {
		if o := &options[i]; (o.name == key || slices.Contains(o.keys, key)) && allowed(o) {
			return o
		}
	}
	return nil
}

// hintKey suggests the key that an unknown one was meant to be, written with
// underscores, as TOML files have it.
func hintKey(key string, allowed func(*option) bool) string {
	names := func(yield func(string) bool) {
		for i := range options {
			if o := &options[i]; allowed(o) && !yield(underscores(o.name)) {
				return
			}
		}
	}
	return nearest.Hint(underscores(strings.ToLower(key)), names)
}

func dashes(key string) string { return strings.ReplaceAll(key, "_", "-") }

func underscores(key string) string { return strings.ReplaceAll(key, "-", "_") }
