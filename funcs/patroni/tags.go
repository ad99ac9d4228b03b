package patroni

import (
	"encoding/json"
	"fmt"
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
	m.upstream = tag["replicatefrom"].text()
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
// and maps of these. A tag that holds a character that cannot be printed, such as
// a newline, is left out; names and values may hold all others, quotes and spaces
// too. The map is the caller's to change.
func (m *Member) Tags() map[string]any {
	tags := map[string]any{}
	for name, v := range m.tags.fields() {
		if tag := v.decode(); isPrintable(fmt.Sprint(name, tag)) {
			tags[name] = tag
		}
	}
	return tags
}

// Tag returns the text of the tag: a string is itself, true and false are
// "true" and "false", a number is its digits, and a list or a map is JSON. It
// is empty if the tag is missing or null.
func (m *Member) Tag(name string) string {
	switch tag := m.Tags()[name].(type) {
	case nil:
		return ""
	case string:
		return tag
	case json.Number:
		return strings.ToLower(tag.String())
	default:
		encoded, _ := json.Marshal(tag) // What was decoded can be encoded.
		return string(encoded)
	}
}

// HasTag tells whether the tag is set, to whatever value but null.
func (m *Member) HasTag(name string) bool { return m.Tags()[name] != nil }

func (m *Member) tagIs(name, value string) bool {
	return m.HasTag(name) && m.Tag(name) == value
}
