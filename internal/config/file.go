package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pc4patroni/internal/nearest"
	"pc4patroni/internal/tomlfile"
)

// readFile stores what the configuration file says. That there is none is an
// error only if the user named it.
func (s *Settings) readFile(path string, given bool) (warnings []string, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !given {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	var tree map[string]any
	file, err := tomlfile.Decode(path, data, &tree)
	if err != nil {
		return nil, fmt.Errorf("read %w", err)
	}
	type remark struct {
		line int
		err  error
	}
	var errs, ignored []remark
	readTable := func(table map[string]any, at ...string) {
		values, problems := tableValues(table, func(o *option) bool { return o.where == anywhere })
		s.putAll(values, fromFile)
		for _, p := range problems {
			key := append(slices.Clone(at), p.key)
			r := remark{file.Line(key...), file.Errorf(key, "%w", p)}
			if p.ignored {
				ignored = append(ignored, r)
			} else {
				errs = append(errs, r)
			}
		}
	}
	// The first versions of confd had their settings below [confd].
	if table, ok := tree["confd"].(map[string]any); ok {
		delete(tree, "confd")
		readTable(table, "confd")
	}
	readTable(tree)

	byLine := func(a, b remark) int { return cmp.Compare(a.line, b.line) }
	slices.SortFunc(ignored, byLine)
	for _, r := range ignored {
		warnings = append(warnings, r.err.Error())
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, byLine)
		joined := make([]error, len(errs))
		for i, r := range errs {
			joined[i] = fmt.Errorf("read %w", r.err)
		}
		return nil, errors.Join(joined...)
	}
	if s.Backend.Password != "" {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
			warnings = append(warnings, fmt.Sprintf("%s holds a password and every user of this host can read it", filepath.Clean(path)))
		}
	}
	return warnings, nil
}

// keyError is what is wrong with a key of a TOML table.
type keyError struct {
	key     string
	ignored bool // confd knows the key, and it means nothing here
	err     error
}

func (e keyError) Error() string { return e.err.Error() }

func (e keyError) Unwrap() error { return e.err }

// tableValues reads the options that a TOML table assigns, in an order that
// does not depend on the table's.
func tableValues(table map[string]any, allowed func(*option) bool) (values []assignment, errs []keyError) {
	by := make(map[*option]string)
	for _, key := range slices.Sorted(maps.Keys(table)) {
		fail := func(format string, args ...any) {
			errs = append(errs, keyError{key: key, err: fmt.Errorf(format, args...)})
		}
		o := optionByKey(key)
		switch {
		case o == nil && noEffect[dashes(key)] != "":
			errs = append(errs, keyError{key: key, ignored: true, err: fmt.Errorf("key %q %s", key, noEffect[dashes(key)])})
			continue
		case o == nil:
			fail("unknown key %q%s", key, hintKey(key, allowed))
			continue
		case !allowed(o) && o.where == commandLineOnly:
			fail("key %q has no place in a file: give -%s on the command line", key, o.name)
			continue
		case !allowed(o) && o.where == notInFile:
			fail("key %q has no place in a file: give -%s on the command line or set %s", key, o.name, o.variable())
			continue
		case !allowed(o):
			fail("key %q has no place here: it belongs in the configuration file", key)
			continue
		case by[o] != "":
			fail("key %q means the same as %q; keep one of them", key, by[o])
			continue
		}
		by[o] = key
		texts, want := tomlTexts(o.kind, table[key])
		if want != "" {
			fail("key %q must be %s", key, want)
			continue
		}
		for _, text := range texts {
			if err := o.set(&Settings{}, text); err != nil {
				fail("key %q %w", key, err)
				break
			}
			values = append(values, assignment{o, text})
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
func optionByKey(key string) *option {
	key = dashes(key)
	for i := range options {
		if o := &options[i]; o.name == key || slices.Contains(o.keys, key) {
			return o
		}
	}
	return nil
}

// hintKey suggests the key that an unknown one was meant to be, written with
// underscores, as TOML files have it.
func hintKey(key string, allowed func(*option) bool) string {
	return nearest.Hint(underscores(strings.ToLower(key)), func(yield func(string) bool) {
		for i := range options {
			if o := &options[i]; allowed(o) && !yield(underscores(o.name)) {
				return
			}
		}
	})
}

func dashes(key string) string { return strings.ReplaceAll(key, "_", "-") }

func underscores(key string) string { return strings.ReplaceAll(key, "-", "_") }
