package file

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// keys collects the keys of one snapshot.
type keys struct {
	name   string
	values map[string]string
	lines  map[string]int // of each key; 0 if not known
	errs   []error
}

func newKeys(name string) *keys {
	return &keys{name: name, values: map[string]string{}, lines: map[string]int{}}
}

// at is the place of something in the file, for an error.
func (k *keys) at(line int) string {
	if line == 0 {
		return k.name + ": "
	}
	return fmt.Sprintf("%s: line %d: ", k.name, line)
}

func (k *keys) add(key, value string, line int) {
	if _, ok := k.values[key]; ok {
		first := ""
		if k.lines[key] > 0 {
			first = fmt.Sprintf(", first on line %d", k.lines[key])
		}
		k.errs = append(k.errs, fmt.Errorf("%skey %q is there twice%s: remove one", k.at(line), key, first))
		return
	}
	k.values[key], k.lines[key] = value, line
}

// nameless records a key without a name.
func (k *keys) nameless(line int) {
	k.errs = append(k.errs, fmt.Errorf("%sa key has no name", k.at(line)))
}

// reject records a value that no key can have; what says what it is.
func (k *keys) reject(key, what string, line int) {
	k.errs = append(k.errs, fmt.Errorf("%skey %q: the value is %s: write it as a string", k.at(line), key, what))
}

func (k *keys) result() (map[string]string, error) {
	if len(k.errs) > 0 {
		return nil, errors.Join(k.errs...)
	}
	return k.values, nil
}

// join returns the name of a key at a level of another. At the top, where
// parent is empty, it adds a leading slash where there is none, and leaves the
// rest of the key as it is.
func join(parent, key string) string {
	if parent == "" && path.IsAbs(key) {
		return key
	}
	return strings.TrimSuffix(parent, "/") + "/" + strings.TrimPrefix(key, "/")
}
