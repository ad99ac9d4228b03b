package patroni

import (
	"math"
	"strconv"
	"strings"
)

// The conversions of this file give values the meaning that Patroni's Python
// gives them.

// truthy tells whether Python takes v for true: every string but the empty one
// counts, "false" and "0" included.
func (v value) truthy() bool {
	if v.isNull() {
		return false
	}
	switch v[0] {
	case 't', 'N', 'I':
		return true
	case 'f':
		return false
	case '"':
		return len(v) > 2
	case '{', '[':
		return strings.Trim(string(v[1:len(v)-1]), " \t\r\n") != ""
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(string(v)), "e")
	return strings.ContainsAny(mantissa, "123456789") || strings.HasSuffix(mantissa, "y")
}

// isTrue tells whether v switches something on: true, 1, or one of "on",
// "true", "yes" and "1" in any case (Patroni: utils.py parse_bool).
func (v value) isTrue() bool {
	switch strings.ToLower(v.form()) {
	case "on", "true", "yes", "1":
		return true
	}
	return false
}

// form returns v as Python's str() writes it, but for case: a string is itself,
// a number its digits, true and false their names, null and what is absent the
// empty string. Arrays and objects are returned as the JSON they are.
func (v value) form() string {
	switch {
	case v.isNull():
		return ""
	case v[0] == '"':
		return v.text()
	}
	return string(v)
}

// integer returns the whole number that v stands for: a number, or a string
// with one in the notation of PostgreSQL's settings, 42, 0x2a or 052. A
// fraction is rounded (Patroni: utils.py parse_int).
func (v value) integer() (int64, bool) {
	text := strings.TrimSpace(v.form())
	if text == "" {
		return 0, false
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	f = math.Round(f)
	// 2^63 itself is a float64, the largest int64 is not.
	if err != nil || !(math.Abs(f) < 1<<63) {
		return 0, false
	}
	return int64(f), true
}

// position returns v as a position in the WAL in bytes, or 0 for everything
// that is none: Patroni takes a position of zero for an unknown one as well
// (Patroni: utils.py cluster_as_json).
func (v value) position() int64 {
	n, _ := v.integer()
	return max(n, 0)
}
