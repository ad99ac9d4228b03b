package patroni

import (
	"slices"
	"strings"
)

// OnlyPositionsMoved tells whether the change of a key from before to after can
// have moved nothing but positions in the write-ahead log, as a heartbeat does.
// The key is that of a member, status or optime/leader, at any path, and both
// values are of the form that Patroni writes there: another program's
// "/app/status" is no heartbeat. A key that appears or disappears never is:
// callers ask about two values of a key that stays.
//
// Patroni: ha.py touch_member, dcs/__init__.py write_status.
func OnlyPositionsMoved(key, before, after string) bool {
	dir, name, _ := cutLast(key)
	switch {
	case strings.HasSuffix(dir, "/members"):
		return equalBut(before, after, "xlog_location", "receive_lsn", "replay_lsn")
	case name == "status":
		return equalBut(before, after, "optime")
	case name == "leader" && strings.HasSuffix(dir, "/optime"):
		return isPosition(value(before)) && isPosition(value(after))
	}
	return false
}

// equalBut tells whether two objects are equal but for the numbers in the given
// fields, of which there is at least one. The positions of replication slots,
// which the status key holds by name, are such numbers too.
func equalBut(before, after string, positions ...string) bool {
	a, ok := withoutPositions(before, positions)
	if !ok {
		return false
	}
	b, ok := withoutPositions(after, positions)
	return ok && slices.Equal(a, b)
}

type field struct {
	name string
	v    value
}

// withoutPositions returns the fields of the object in text, with 0 for each
// position. It returns false if text is no object with a position.
func withoutPositions(text string, positions []string) (fields []field, ok bool) {
	found := false
	add := func(name string, v value, mayMove bool) {
		if mayMove && isPosition(v) {
			v = "0"
			found = true
		}
		fields = append(fields, field{name, v})
	}
	ok = parseObject(text, func(name string, v value) {
		if name == "slots" && v.isObject() {
			v.fields(func(slot string, v value) { add("slots/"+slot, v, true) })
			return
		}
		add(name, v, slices.Contains(positions, name))
	})
	return fields, ok && found
}

// isPosition tells whether v consists of digits.
func isPosition(v value) bool {
	return isNumber(string(v))
}
