package resource

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/nearest"
)

var (
	// templatePosition is how text/template begins its errors.
	templatePosition = regexp.MustCompile(`^template: (.+?):(\d+)(?::\d+)?: (?s:(.*))$`)
	// executing is how it goes on when an execution failed.
	executing     = regexp.MustCompile(`^executing "[^"]*" at (<.*?>): (?s:(.*))$`)
	errorCalling  = regexp.MustCompile(`^error calling \w+: `)
	undefinedName = regexp.MustCompile(`function "(\w+)" not defined`)
	missingField  = regexp.MustCompile(`can't evaluate field (\w+) in type \*?([\w.]+)$`)
)

// explain turns an error of text/template into one that names the file below
// the folder of templates and the line, without the words that only repeat
// the call, and that suggests a function where one is unknown.
func explain(dir string, err error, functions map[string]any) error {
	m := templatePosition.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("template %s: %w", dir, err)
	}
	file, line, rest := m[1], m[2], m[3]
	if m := executing.FindStringSubmatch(rest); m != nil {
		at, why := m[1], errorCalling.ReplaceAllString(m[2], "")
		if nested := templatePosition.FindStringSubmatch(why); nested != nil {
			// An included template: what failed is there.
			return &templateError{text: fmt.Sprintf("%s: line %s: %v", filepath.Join(dir, file), line, explain(dir, errors.New(why), functions)), mistake: isMistake(err), err: err}
		}
		if m := missingField.FindStringSubmatch(why); m != nil {
			why = explainField(m[1], m[2])
		}
		return &templateError{fmt.Sprintf("%s: line %s: at %s: %s", filepath.Join(dir, file), line, at, why), isMistake(err), err}
	}
	if m := undefinedName.FindStringSubmatch(rest); m != nil {
		if reason, known := funcs.LeftOut(m[1]); known {
			rest += ": " + reason
		} else {
			rest += nearest.Hint(m[1], slices.Values(slices.Sorted(maps.Keys(functions))))
		}
	}
	return &templateError{fmt.Sprintf("%s: line %s: %s", filepath.Join(dir, file), line, rest), isMistake(err), err}
}

// fields are the types of the cluster model by the names that text/template
// prints, with the word for them in the documentation.
var fields = map[string]struct {
	word string
	of   reflect.Type
}{
	"patroni.Member":  {"member", reflect.TypeFor[*patroni.Member]()},
	"patroni.Cluster": {"cluster", reflect.TypeFor[*patroni.Cluster]()},
}

// explainField says that a value has no such field, and which one was meant.
func explainField(field, typeName string) string {
	t, ok := fields[typeName]
	if !ok {
		return fmt.Sprintf("there is no field %s in a value of type %s", field, typeName)
	}
	var names []string
	for i := range t.of.NumMethod() {
		names = append(names, t.of.Method(i).Name)
	}
	for i := range t.of.Elem().NumField() {
		if f := t.of.Elem().Field(i); f.IsExported() {
			names = append(names, f.Name)
		}
	}
	text := fmt.Sprintf("a %s has no .%s", t.word, field)
	if near := nearest.To(field, slices.Values(names)); near != "" {
		text += fmt.Sprintf(" (did you mean .%s?)", near)
	}
	return text
}

// isMistake tells whether an error can be mended in the template only. What a
// function answers depends on the keys, and so does whether there is a value
// whose field is wanted; anything else that stops an execution does not.
func isMistake(err error) bool {
	exec, ok := errors.AsType[template.ExecError](err)
	if !ok {
		return errors.Is(err, ErrMistake) || errors.Is(err, errNoTemplate)
	}
	if inner := errors.Unwrap(exec.Err); inner != nil {
		return isMistake(inner)
	}
	return !strings.Contains(exec.Err.Error(), "nil pointer evaluating")
}

// templateError is an error of text/template in our words.
type templateError struct {
	text    string
	mistake bool
	err     error
}

func (e *templateError) Error() string { return e.text }

func (e *templateError) Unwrap() error { return e.err }

// Is makes the error one that wraps ErrMistake, if it is one.
func (e *templateError) Is(target error) bool { return target == ErrMistake && e.mistake }
