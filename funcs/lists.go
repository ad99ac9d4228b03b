package funcs

import (
	"fmt"
	"reflect"
	"strconv"

	"pc4patroni/funcs/patroni"
)

// Functions that take a list of members last, for pipelines.

// asMembers returns what a filter was given as a list: a list of members, also
// one that a function of sprig has made, a single member that has an address, or
// nothing.
func asMembers(list any) ([]*patroni.Member, error) {
	switch list := list.(type) {
	case nil:
		return nil, nil
	case []*patroni.Member:
		return list, nil
	case *patroni.Member:
		if list == nil || !list.Usable() {
			return nil, nil
		}
		return []*patroni.Member{list}, nil
	}
	v := reflect.ValueOf(list)
	if v.Kind() != reflect.Slice {
		return nil, fmt.Errorf("want a list of members, not %s", describe(list))
	}
	members := make([]*patroni.Member, 0, v.Len())
	for i := range v.Len() {
		m, ok := v.Index(i).Interface().(*patroni.Member)
		if !ok {
			return nil, fmt.Errorf("want a list of members, not a list with %s", describe(v.Index(i).Interface()))
		}
		if m != nil {
			members = append(members, m)
		}
	}
	return members, nil
}

// filter makes a function for templates that selects members.
func filter(keep func(*patroni.Member) bool) func(any) ([]*patroni.Member, error) {
	return func(list any) ([]*patroni.Member, error) {
		members, err := asMembers(list)
		return patroni.Filter(members, keep), err
	}
}

// hasTag selects the members that have a tag, whatever its value.
func hasTag(name string, list any) ([]*patroni.Member, error) {
	return filter(func(m *patroni.Member) bool { return m.HasTag(name) })(list)
}

// maxLag takes its limit as text with a unit or as a number of bytes.
func maxLag(limit, list any) ([]*patroni.Member, error) {
	members, err := asMembers(list)
	if err != nil {
		return nil, err
	}
	text, ok := limit.(string)
	if !ok {
		bytes, err := integer(limit)
		return patroni.WithinLag(patroni.Bytes(bytes), members), err
	}
	bytes, err := patroni.ParseBytes(text)
	if err != nil {
		return nil, err
	}
	return patroni.WithinLag(bytes, members), nil
}

// withTag makes a function for templates of one that selects by a tag. The
// value may be text, a number or a boolean: tags in YAML are any of them.
func withTag(choose func(name, value string, list []*patroni.Member) []*patroni.Member) func(string, any, any) ([]*patroni.Member, error) {
	return func(name string, value, list any) ([]*patroni.Member, error) {
		members, err := asMembers(list)
		if err != nil {
			return nil, err
		}
		switch reflect.ValueOf(value).Kind() {
		case reflect.Invalid, reflect.Pointer, reflect.Map, reflect.Slice:
			return nil, fmt.Errorf("the value of a tag is text, a number or a boolean, not %s", describe(value))
		case reflect.Float32, reflect.Float64:
			value = strconv.FormatFloat(reflect.ValueOf(value).Float(), 'f', -1, 64)
		}
		return choose(name, fmt.Sprint(value), members), nil
	}
}

// firstOf returns the first of choices that is not empty; each is a list of
// members or a single one. All of them are checked, so that a mistake
// shows at once and not only when a list is empty.
func firstOf(choices ...any) ([]*patroni.Member, error) {
	var first []*patroni.Member
	for _, choice := range choices {
		members, err := asMembers(choice)
		if err != nil {
			return nil, err
		}
		if len(first) == 0 {
			first = members
		}
	}
	return first, nil
}

// atLeast passes a list on if it is long enough, and is an error, which holds
// the resource, if it is not.
func atLeast(least, list any) ([]*patroni.Member, error) {
	members, err := asMembers(list)
	if err != nil {
		return nil, err
	}
	n, err := integer(least)
	if err != nil {
		return nil, err
	}
	if int64(len(members)) < n {
		return nil, fmt.Errorf("the list has too few members: %d, want at least %d", len(members), n)
	}
	return members, nil
}

// each makes a function that lists one field of the members which have an
// address, so that hosts and ports match.
func each[T any](field func(*patroni.Member) T) func(any) ([]T, error) {
	return func(list any) ([]T, error) {
		members, err := asMembers(list)
		fields := make([]T, 0, len(members))
		for _, m := range members {
			if m.Usable() {
				fields = append(fields, field(m))
			}
		}
		return fields, err
	}
}
