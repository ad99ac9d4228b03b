package funcs

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// text/template refuses to compare an integer with a float. confd's json made
// every number a float: templates written for confd say {{if gt $data.timeline
// 1.0}}, others say 1. Here numbers compare by their value. Everything else is as
// in text/template.

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
	if order, ordered, ok := compareAsNumbers(a, b); ok {
		return ordered && order == 0, nil
	}
	v, w := reflect.ValueOf(a), reflect.ValueOf(b)
	switch {
	case a != nil && b != nil && v.Kind() != w.Kind():
		return false, incomparable(a, b)
	case isNothing(v) || isNothing(w):
		return isNothing(v) && isNothing(w), nil
	case v.Kind() == reflect.String:
		return v.String() == w.String(), nil
	case !w.Type().Comparable():
		return false, incomparable(a, b)
	}
	return a == b, nil
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
	hint := ""
	if kinds := describe(a) + describe(b); kinds == "a numbertext" || kinds == "texta number" {
		hint = "; use atoi to read a number from text"
	}
	return fmt.Errorf("cannot compare %s (%T) with %s (%T)%s", describe(a), a, describe(b), b, hint)
}

func notEqual(a, b any) (bool, error) {
	same, err := equalTwo(a, b)
	return !same, err
}

// ordering returns a comparison of two numbers or two texts that holds where
// accept holds for the order of the first to the second.
func ordering(accept func(order int) bool) func(a, b any) (bool, error) {
	return func(a, b any) (bool, error) {
		if order, ordered, ok := compareAsNumbers(a, b); ok {
			return ordered && accept(order), nil
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
	fitted := slices.Clone(args)
	// A star takes an int for a width, and nothing else; %T prints the type.
	asIs := strings.Contains(layout, "*") || strings.Contains(layout, "%T")
	for i, arg := range args {
		n, ok := numberOf(arg)
		if _, formats := arg.(fmt.Formatter); ok && !formats && !asIs {
			fitted[i] = formatted{arg, n}
		}
	}
	return fmt.Sprintf(layout, fitted...)
}

// formatted is an argument of printf that is a number.
type formatted struct {
	value any
	number
}

// Format prints the number as the kind that verb is for.
func (n formatted) Format(state fmt.State, verb rune) {
	value := n.value
	switch {
	case strings.ContainsRune("eEfFgG", verb):
		value = n.float
	case strings.ContainsRune("dxXobc", verb) && n.isWhole:
		value = n.integer
	}
	fmt.Fprintf(state, fmt.FormatString(state, verb), value)
}
