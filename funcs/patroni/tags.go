package patroni

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// setTags sets the tags and what Patroni derives from its own ones (Patroni:
// tags.py Tags).
func (m *Member) setTags(tags value) {
	m.tags = tags
	tag := tags.fields()
	m.NoLoadBalance = tag["noloadbalance"].truthy()
	m.NoStream = tag["nostream"].isTrue()
	// Nothing can be cloned from a node without a connection URL (Patroni:
	// dcs/__init__.py Member.clonefrom).
	m.CloneFrom = tag["clonefrom"].truthy() && m.Usable()
	m.upstream, _ = tag["replicatefrom"].text()
	if nameProblem(m.upstream) == "" {
		m.ReplicateFrom = safeName(m.upstream)
	}
	m.NoFailover, m.FailoverPriority = priority(tag["nofailover"], tag["failover_priority"])
	m.NoSync, m.SyncPriority = priority(tag["nosync"], tag["sync_priority"])
}

// priority returns what a pair of tags such as nofailover and
// failover_priority mean together: the former wins if it is there, else a
// priority of 0 or less excludes the node (Patroni: tags.py Tags.nofailover and
// Tags.failover_priority).
func priority(excluded, rank value) (bool, int64) {
	n, ok := rank.integer()
	if !ok {
		n = 1
	}
	if excluded.isNull() {
		return n <= 0, n
	}
	if excluded.truthy() {
		return true, 0
	}
	return false, n
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

// isPrintableTree tells whether all strings in a decoded value are printable.
func isPrintableTree(tree any) bool {
	switch tree := tree.(type) {
	case string:
		return isPrintable(tree)
	case []any:
		return !slices.ContainsFunc(tree, func(item any) bool { return !isPrintableTree(item) })
	case map[string]any:
		for name, item := range tree {
			if !isPrintable(name) || !isPrintableTree(item) {
				return false
			}
		}
	}
	return true
}
