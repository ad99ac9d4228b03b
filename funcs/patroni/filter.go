package patroni

import (
	"encoding/json"
	"strconv"
	"strings"
)

// WithinLag returns the members of list that are known to lag no more than
// limit behind the leader. A lag is unknown where the position of the leader or
// that of the member is; Patroni's "/replica?lag=" lets everybody pass where the
// leader's is missing. It goes by Lag, which on Patroni before 4.1 is less than
// the lag of replay that /replica sees.
func WithinLag(limit Bytes, list []*Member) []*Member {
	return Filter(list, func(m *Member) bool { return m.Lag.Known() && m.Lag <= limit })
}

// WithTag returns the members of list whose tag has the value, as in
// "/replica?tag_name=value": strings are equal exactly, true and false match
// "true" and "false", and a number matches its digits. A tag that is missing
// or null matches nothing, not even the empty string (Patroni: api.py do_GET).
func WithTag(name, value string, list []*Member) []*Member {
	return Filter(list, func(m *Member) bool { return m.tagIs(name, value) })
}

// WithoutTag returns the members of list that WithTag does not return.
func WithoutTag(name, value string, list []*Member) []*Member {
	return Filter(list, func(m *Member) bool { return !m.tagIs(name, value) })
}

// Filter returns the members of list that keep accepts.
func Filter(list []*Member, keep func(*Member) bool) []*Member {
	var kept []*Member
	for _, m := range list {
		if keep(m) {
			kept = append(kept, m)
		}
	}
	return kept
}

// Tags returns all tags with values of type bool, string, json.Number, or lists
// and maps of these; see Tag for their text. A tag that holds a character that
// cannot be printed, such as a newline, is left out. The name and the value may
// hold all others, quotes and spaces too. The map is the caller's to change.
func (m *Member) Tags() map[string]any {
	tags := map[string]any{}
	for name, v := range m.tags.fields() {
		if tag := v.decode(); isPrintable(name) && isPrintableTree(tag) {
			tags[name] = tag
		}
	}
	return tags
}

// Tag returns the text of the tag: a string is itself, true and false are
// "true" and "false", a number is its digits, and a list or a map is JSON. It
// is empty if the tag is missing or null.
func (m *Member) Tag(name string) string {
	text, _ := m.tagText(name)
	return text
}

// HasTag tells whether the tag is set, to whatever value but null.
func (m *Member) HasTag(name string) bool {
	_, ok := m.tagText(name)
	return ok
}

func (m *Member) tagIs(name, value string) bool {
	text, ok := m.tagText(name)
	return ok && text == value
}

func (m *Member) tagText(name string) (string, bool) {
	switch tag := m.Tags()[name].(type) {
	case nil:
		return "", false
	case string:
		return tag, true
	case bool:
		return strconv.FormatBool(tag), true
	case json.Number:
		return strings.ToLower(tag.String()), true
	default:
		encoded, err := json.Marshal(tag)
		return string(encoded), err == nil
	}
}
