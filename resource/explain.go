package resource

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/nearest"
)

var (
	// templatePosition is how text/template begins its errors.
	templatePosition = regexp.MustCompile(`^template: (.+?):(\d+)(?::(\d+))?: (?s:(.*))$`)
	// executing is how it goes on when an execution failed.
	executing     = regexp.MustCompile(`^executing "[^"]*" at (<.*?>): (?s:(.*))$`)
	errorCalling  = regexp.MustCompile(`^error calling \w+: `)
	undefinedName = regexp.MustCompile(`function "(\w+)" not defined`)
	missingField  = regexp.MustCompile(`can't evaluate field (\w+) in type \*?([\w.]+)$`)
)

// explain turns an error of text/template into one that names the file and the
// line, drops the words that only repeat the call, and suggests a function where
// one is unknown.
func explain(dir string, err error, functions map[string]any) error {
	m := templatePosition.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("template %s: %w", dir, err)
	}
	why, mistake, line := m[4], isMistake(err), m[2]
	if column, err := strconv.Atoi(m[3]); err == nil && mistake {
		line = fmt.Sprintf("%s, column %d", line, column+1) // for who edits the template; text/template counts from 0
	}
	if m := executing.FindStringSubmatch(why); m != nil {
		why = errorCalling.ReplaceAllString(m[2], "")
		if field := missingField.FindStringSubmatch(why); field != nil {
			why = explainField(field[1], field[2])
		}
		if templatePosition.MatchString(why) { // an included template: what failed is there
			why = explain(dir, errors.New(why), functions).Error()
		} else {
			why = fmt.Sprintf("at %s: %s", m[1], why)
		}
	} else if strings.HasPrefix(why, "bad character") {
		why += ": is a }} missing before it?"
	} else if m := undefinedName.FindStringSubmatch(why); m != nil {
		if reason, known := funcs.LeftOut(m[1]); known {
			why += ": " + reason
		} else {
			why += nearest.Hint(m[1], slices.Sorted(maps.Keys(functions)))
		}
	}
	return &templateError{fmt.Sprintf("%s: line %s: %s", filepath.Join(dir, m[1]), line, why), mistake, err}
}

// model are the types of the cluster model by the names that text/template
// prints.
var model = map[string]reflect.Type{
	"patroni.Member":  reflect.TypeFor[*patroni.Member](),
	"patroni.Cluster": reflect.TypeFor[*patroni.Cluster](),
}

// explainField says that a value has no such field, and which one may be meant.
func explainField(field, typeName string) string {
	t, ok := model[typeName]
	if !ok {
		return fmt.Sprintf("there is no field %s in a value of type %s", field, typeName)
	}
	var names []string
	for method := range t.Methods() {
		names = append(names, method.Name)
	}
	for f := range t.Elem().Fields() {
		if f.IsExported() {
			names = append(names, f.Name)
		}
	}
	text := fmt.Sprintf("a %s has no .%s", strings.ToLower(t.Elem().Name()), field)
	if near := nearest.To(field, names); near != "" {
		text += fmt.Sprintf(" (did you mean .%s?)", near)
	}
	return text
}

// isMistake tells whether only an edit of the template can mend an error. What
// a function returns depends on the keys, and so does whether a value is nil;
// nothing else that stops an execution does.
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

// templateError is an error of text/template, reworded.
type templateError struct {
	text    string
	mistake bool
	err     error
}

func (e *templateError) Error() string { return e.text }

func (e *templateError) Unwrap() error { return e.err }

// Is has a mistake count as ErrMistake.
func (e *templateError) Is(target error) bool { return target == ErrMistake && e.mistake }
