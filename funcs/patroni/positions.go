package patroni

import "strings"

// OnlyPositionsMoved tells whether the change of a key from before to after
// can have moved nothing but positions in the write-ahead log, as a heartbeat
// does: a change of the status key, of optime/leader, or of a member whose
// values differ in positions alone. A key that appears or disappears is never
// such a change: callers ask about two values of a key that stays.
//
// Patroni: ha.py touch_member, dcs/__init__.py write_status.
func OnlyPositionsMoved(key, before, after string) bool {
	if strings.HasSuffix(key, "/status") || strings.HasSuffix(key, "/optime/leader") {
		return true
	}
	return strings.Contains(key, "/members/") && equalButPositions(before, after)
}

// equalButPositions compares two member values and passes over the numbers of
// the fields that hold positions. It does not decode: it runs for every
// heartbeat of every member.
func equalButPositions(a, b string) bool {
	for {
		i := commonPrefix(a, b)
		if i == len(a) && i == len(b) {
			return true
		}
		for i > 0 && isDigit(a[i-1]) {
			i--
		}
		if !endsInPositionField(a[:i]) {
			return false
		}
		a, b = a[i+digits(a[i:]):], b[i+digits(b[i:]):]
		if a == b {
			return true
		}
		if a == "" || b == "" || a[0] != b[0] {
			return false
		}
	}
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func endsInPositionField(s string) bool {
	s, ok := strings.CutSuffix(strings.TrimRight(s, " "), ":")
	if !ok {
		return false
	}
	for _, field := range []string{`"xlog_location"`, `"replay_lsn"`, `"receive_lsn"`} {
		if strings.HasSuffix(s, field) {
			return true
		}
	}
	return false
}

func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}
