package patroni

import (
	"regexp"
	"strings"
)

// Positions in the write-ahead log, as Patroni writes them in members, and in
// the status key: there every number is one, those of the replication slots too.
var (
	memberPositions = regexp.MustCompile(`"(?:xlog_location|receive_lsn|replay_lsn)": ?\d+`)
	statusPositions = regexp.MustCompile(`": ?\d+`)
)

// OnlyPositionsMoved tells whether the change of a key from before to after can
// have moved nothing but positions in the write-ahead log, as a heartbeat does:
// the key is that of a member, status or optime/leader, and both values are of
// the form that Patroni writes there (Patroni: ha.py touch_member,
// dcs/__init__.py write_status).
func OnlyPositionsMoved(key, before, after string) bool {
	dir, name, _ := cutLast(key)
	switch {
	case strings.HasSuffix(dir, "/members"):
		return equalBut(memberPositions, `"xlog_location"`, before, after)
	case name == "status":
		return equalBut(statusPositions, `"optime"`, before, after)
	case name == "leader" && strings.HasSuffix(dir, "/optime"):
		return isNumber(before) && isNumber(after)
	}
	return false
}

// equalBut tells whether two objects, which hold the mark of Patroni, are equal
// but for the positions in them.
func equalBut(positions *regexp.Regexp, mark, before, after string) bool {
	return strings.HasPrefix(before, "{") && strings.Contains(before, mark) && strings.Contains(after, mark) &&
		positions.ReplaceAllString(before, "") == positions.ReplaceAllString(after, "")
}
