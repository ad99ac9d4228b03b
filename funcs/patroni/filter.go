package patroni

import (
	"encoding/json"
	"fmt"
	"strings"
)

// WithinLag returns the members of list that lag no more than limit behind the
// leader. As in Patroni nobody lags while the leader's position is unknown, and
// a member that reports no position lags when it is known (Patroni: api.py
// do_GET, "/replica?lag="). It goes by Lag, which on Patroni before 4.1 is less
// than the lag of replay that /replica sees.
func WithinLag(limit Bytes, list []*Member) []*Member {
	return filter(list, func(m *Member) bool {
		if m.IsLeader || m.cluster == nil || m.cluster.Optime == 0 {
			return true
		}
		return m.Lag.Known() && m.Lag <= limit
	})
}

// WithTag returns the members of list whose tag has the value, as in
// "/replica?tag_name=value": strings are equal exactly, true and false match
// "true" and "false", and a number matches its digits. A tag that is missing
// or null matches nothing, not even the empty string (Patroni: api.py do_GET).
func WithTag(name, value string, list []*Member) []*Member {
	return filter(list, func(m *Member) bool { return m.hasTag(name, value) })
}

// WithoutTag returns the members of list that WithTag does not return.
func WithoutTag(name, value string, list []*Member) []*Member {
	return filter(list, func(m *Member) bool { return !m.hasTag(name, value) })
}

// OrElse returns list unless it is empty, else fallback, which is a list or a
// single member. It makes a pipeline of fallbacks read from left to right:
//
//	readers | withTag "zone" "a" | orElse readers | orElse leader
//
// An error means that fallback is neither.
func OrElse(fallback any, list []*Member) ([]*Member, error) {
	if len(list) > 0 {
		return list, nil
	}
	return asList(fallback)
}

// FirstOf returns the first of choices that is not empty; each is a list of
// members or a single one. It returns an empty list if all are. An error means
// that one of the choices is neither.
func FirstOf(choices ...any) ([]*Member, error) {
	var first []*Member
	for _, choice := range choices {
		list, err := asList(choice)
		if err != nil {
			return nil, err
		}
		if len(first) == 0 {
			first = list
		}
	}
	return first, nil
}

// asList returns a member, a list of members or nothing as a list. A single
// member without an address counts as nothing.
func asList(choice any) ([]*Member, error) {
	switch choice := choice.(type) {
	case nil:
		return nil, nil
	case []*Member:
		return choice, nil
	case *Member:
		if choice == nil || !choice.Usable() {
			return nil, nil
		}
		return []*Member{choice}, nil
	}
	return nil, fmt.Errorf("choose among members: %T is neither a member nor a list of members", choice)
}

func filter(list []*Member, keep func(*Member) bool) []*Member {
	var kept []*Member
	for _, m := range list {
		if keep(m) {
			kept = append(kept, m)
		}
	}
	return kept
}

// Tag returns the text of the tag: a string is itself, true and false are
// "true" and "false", a number is its digits, and a list or a map is JSON. It
// is empty if the tag is missing or null.
func (m *Member) Tag(name string) string {
	text, _ := m.tagText(name)
	return text
}

func (m *Member) hasTag(name, value string) bool {
	text, ok := m.tagText(name)
	return ok && text == value
}

func (m *Member) tagText(name string) (string, bool) {
	switch tag := m.Tags[name].(type) {
	case nil:
		return "", false
	case string:
		return tag, true
	case bool:
		if tag {
			return "true", true
		}
		return "false", true
	case json.Number:
		return strings.ToLower(tag.String()), true
	default:
		encoded, err := json.Marshal(tag)
		return string(encoded), err == nil
	}
}
