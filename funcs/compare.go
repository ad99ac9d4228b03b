package funcs

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// The comparisons of text/template refuse to compare an integer with a float,
// and so with what confd's json made of every number: templates written for
// confd say {{if gt $data.timeline 1.0}}, others say 1. Here numbers compare by
// their value. Everything else is as in text/template.

// equal tells whether a equals one of others.
func equal(a any, others ...any) (bool, error) {
	if len(others) == 0 {
		return false, errors.New("missing argument for comparison")
	}
	for _, b := range others {
		if same, err := equalTwo(a, b); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

func equalTwo(a, b any) (bool, error) {
	if x, ok := numberOf(a); ok {
		if y, ok := numberOf(b); ok {
			order, ordered := x.compare(y)
			return ordered && order == 0, nil
		}
	}
	v, w := reflect.ValueOf(a), reflect.ValueOf(b)
	if !v.IsValid() || !w.IsValid() {
		return isNothing(v) && isNothing(w), nil
	}
	if v.Kind() != w.Kind() || isNumber(v) {
		return false, incomparable(a, b)
	}
	switch v.Kind() {
	case reflect.String:
		return v.String() == w.String(), nil
	case reflect.Bool:
		return v.Bool() == w.Bool(), nil
	}
	if isNothing(v) || isNothing(w) {
		return isNothing(v) && isNothing(w), nil
	}
	if !w.Type().Comparable() {
		return false, incomparable(a, b)
	}
	return a == b, nil
}

// isNumber reports whether v is a number that is not spelled as text.
func isNumber(v reflect.Value) bool {
	return v.CanInt() || v.CanUint() || v.CanFloat()
}

// isNothing reports whether v is nil, of any type.
func isNothing(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice:
		return v.IsNil()
	}
	return false
}

func incomparable(a, b any) error {
	return fmt.Errorf("incompatible types for comparison: %s (%T) and %s (%T)", describe(a), a, describe(b), b)
}

func notEqual(a, b any) (bool, error) {
	same, err := equalTwo(a, b)
	return !same, err
}

// ordering returns a comparison of two numbers or two texts that holds where
// accept holds for the order of the first to the second.
func ordering(accept func(order int) bool) func(a, b any) (bool, error) {
	return func(a, b any) (bool, error) {
		if x, ok := numberOf(a); ok {
			if y, ok := numberOf(b); ok {
				order, ordered := x.compare(y)
				return ordered && accept(order), nil
			}
		}
		v, w := reflect.ValueOf(a), reflect.ValueOf(b)
		if v.Kind() != reflect.String || w.Kind() != reflect.String {
			return false, incomparable(a, b)
		}
		return accept(strings.Compare(v.String(), w.String())), nil
	}
}

// format is fmt.Sprintf for numbers whose kind the template does not know:
// %d takes a float64 that is whole, and %f, %e and %g take integers, because
// {{printf "%.0f" $data.port}} is how one got the digits of a number in confd.
func format(layout string, args ...any) string {
	verbs := verbsOf(layout)
	fitted := args
	for i, verb := range verbs {
		if i >= len(args) {
			break
		}
		if arg, changed := fit(args[i], verb); changed {
			if &fitted[0] == &args[0] {
				fitted = append([]any(nil), args...)
			}
			fitted[i] = arg
		}
	}
	return fmt.Sprintf(layout, fitted...)
}

// verbsOf returns the verb that formats each argument, or nothing for a layout
// that picks its arguments by number or takes widths from them.
func verbsOf(layout string) []rune {
	if strings.ContainsAny(layout, "*[") {
		return nil
	}
	var verbs []rune
	inside := false
	for _, c := range layout {
		switch {
		case !inside:
			inside = c == '%'
		case strings.ContainsRune("+-# 0123456789.", c):
		default:
			if c != '%' {
				verbs = append(verbs, c)
			}
			inside = false
		}
	}
	return verbs
}

// fit returns arg as the kind of number that verb formats.
func fit(arg any, verb rune) (any, bool) {
	if _, ok := arg.(fmt.Formatter); ok {
		return arg, false
	}
	n, ok := numberOf(arg)
	if !ok {
		return arg, false
	}
	_, spelled := arg.(json.Number)
	switch verb {
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if n.kind != isFloat {
			return n.asFloat(), true
		}
	case 'd':
		if n.kind == isInteger && spelled {
			return n.integer, true
		}
		if n.kind == isText {
			if i, _ := n.exact().Int(nil); n.exact().IsInt() {
				return i, true
			}
		}
		if n.kind == isFloat && n.float == math.Trunc(n.float) && math.Abs(n.float) < 1<<63 {
			return int64(n.float), true
		}
	}
	return arg, false
}
