package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
	var errs, ignored []error
	readTable := func(table map[string]any, at ...string) {
		locate := func(key string, err error) error { return file.Errorf(append(slices.Clone(at), key), "%w", err) }
		values, noEffect, problems := tableValues(table, func(o *option) bool { return o.where == anywhere }, locate)
		ignored = append(ignored, noEffect...)
		errs = append(append(errs, problems...), s.put(values, fromFile)...)
	}
	// The first versions of confd had their settings below [confd].
	if table, ok := tree["confd"].(map[string]any); ok {
		delete(tree, "confd")
		readTable(table, "confd")
	}
	readTable(tree)

	tomlfile.Sort(ignored)
	for _, err := range ignored {
		warnings = append(warnings, err.Error())
	}
	if len(errs) > 0 {
		tomlfile.Sort(errs)
		for i, err := range errs {
			errs[i] = fmt.Errorf("read %w", err)
		}
		return nil, errors.Join(errs...)
	}
	if s.Backend.Password != "" {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
			warnings = append(warnings, fmt.Sprintf("%s contains a password, and every user of this host can read it", filepath.Clean(path)))
		}
	}
	return warnings, nil
}

// tableValues reads the options that a TOML table assigns, in an order that
// does not depend on the table's. ignored are about keys that confd knows and
// that mean nothing here. locate adds the place of a key to an error.
func tableValues(table map[string]any, allowed func(*option) bool, locate func(key string, err error) error) (values []assignment, ignored, errs []error) {
	by := make(map[*option]string)
	for _, key := range slices.Sorted(maps.Keys(table)) {
		fail := func(format string, args ...any) {
			errs = append(errs, locate(key, fmt.Errorf(format, args...)))
		}
		o := optionByKey(key)
		switch {
		case o == nil && noEffect[dashes(key)] != "":
			ignored = append(ignored, locate(key, fmt.Errorf("key %q %s", key, noEffect[dashes(key)])))
		case o == nil:
			fail("unknown key %q%s", key, hintKey(key, allowed))
		case o.where == commandLineOnly:
			fail("key %q does not belong in a file: use -%s on the command line", key, o.name)
		case o.where == notInFile:
			fail("key %q does not belong in a file: use -%s on the command line, or %s", key, o.name, o.variable())
		case !allowed(o):
			fail("key %q does not belong here: set it in the configuration file", key)
		case by[o] != "":
			fail("key %q means the same as %q; keep one of them", key, by[o])
		default:
			by[o] = key
			text, err := o.fromTOML(table[key])
			if err != nil {
				fail("key %q %w", key, err)
				continue
			}
			values = assign(values, o, text, func(err error) error { return locate(key, fmt.Errorf("key %q %w", key, err)) })
		}
	}
	return values, ignored, errs
}

// fromTOML writes a TOML value as it would stand on the command line.
func (o *option) fromTOML(value any) (string, error) {
	text, ok := value.(string)
	want := "a string, in quotes"
	switch o.at.(type) {
	case *bool:
		want = "true or false, without quotes"
		_, ok = value.(bool)
		text = fmt.Sprint(value)
	case *time.Duration:
		want = `a number of seconds, or a duration such as "1m30s"`
		switch value.(type) {
		case string, int64, float64:
			text, ok = fmt.Sprint(value), true
		}
	case *[]string:
		want = "an array of strings"
		if array, isArray := value.([]any); isArray {
			ok = true
			for _, element := range array {
				part, isText := element.(string)
				ok = ok && isText
				text += part + ","
			}
		}
	}
	if !ok {
		return "", errors.New("must be " + want)
	}
	return text, nil
}

// optionByKey finds an option by its name, with dashes or underscores, or by
// one of confd's names for it.
func optionByKey(key string) *option {
	key = dashes(key)
	for _, o := range options {
		if o.name == key || slices.Contains(o.keys, key) {
			return o
		}
	}
	return nil
}

// hintKey suggests the key that an unknown one was meant to be, written with
// underscores, as TOML files have it.
func hintKey(key string, allowed func(*option) bool) string {
	var names []string
	for _, o := range options {
		if allowed(o) {
			for _, name := range append([]string{o.name}, o.keys...) {
				names = append(names, underscores(name))
			}
		}
	}
	return nearest.Hint(underscores(strings.ToLower(key)), names)
}

func dashes(key string) string { return strings.ReplaceAll(key, "_", "-") }

func underscores(key string) string { return strings.ReplaceAll(key, "-", "_") }
