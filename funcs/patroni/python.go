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
	if v.isNull() {
		return ""
	}
	if s, ok := v.text(); ok {
		return s
	}
	return string(v)
}

// integer returns the whole number that v stands for as Patroni reads it:
// numbers and strings of decimal, octal (leading 0) and hexadecimal digits, and
// decimal fractions, which are rounded (Patroni: utils.py parse_int).
func (v value) integer() (int64, bool) {
	if v.isNull() || v[0] == '{' || v[0] == '[' {
		return 0, false
	}
	n, unit, ok := leadingNumber(v.form())
	if !ok || unit != "" {
		return 0, false
	}
	return toInt64(math.RoundToEven(n.float), n)
}

// truncated returns the whole number that Python's int() makes of v: a number
// loses its fraction, a string has to be decimal digits, with a sign and blanks
// around them if need be.
func (v value) truncated() (int64, bool) {
	if s, ok := v.text(); ok {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		return n, err == nil
	}
	if v.isNull() || !isDigit(v[0]) && v[0] != '-' {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		return 0, false
	}
	return toInt64(math.Trunc(f), parsed{float: f})
}

// position returns v as a position in the WAL in bytes, or 0 for everything
// that is none: Patroni takes a position of zero for an unknown one as well
// (Patroni: utils.py cluster_as_json).
func (v value) position() int64 {
	n, ok := v.integer()
	if !ok || n < 0 {
		return 0
	}
	return n
}

// parsed is a number in both forms: whole numbers are exact in whole, if they
// fit there.
type parsed struct {
	whole   int64
	isWhole bool
	float   float64
}

// toInt64 returns n as an integer: exactly where it is whole, else rounded, as
// the caller did it. What does not fit is not returned.
func toInt64(rounded float64, n parsed) (int64, bool) {
	if n.isWhole {
		return n.whole, true
	}
	// 2^63 itself is a float64, the largest int64 is not.
	if math.IsNaN(rounded) || rounded >= 1<<63 || rounded < -(1<<63) {
		return 0, false
	}
	return int64(rounded), true
}

// leadingNumber splits text into the number at its start and the rest without
// blanks, which is the unit (Patroni: utils.py strtol and strtod).
func leadingNumber(text string) (n parsed, unit string, ok bool) {
	text = strings.TrimSpace(text)
	digits, base := numberPrefix(text)
	rest := text[len(digits):]
	if digits == "" && strings.HasPrefix(rest, ".") || rest != "" && strings.ContainsRune(".eE", rune(rest[0])) {
		digits = text[:floatLength(text)]
		if digits == "" {
			return parsed{}, "", false
		}
		// What is too large for a float is infinite, and too large for all uses.
		f, _ := strconv.ParseFloat(digits, 64)
		return parsed{float: f}, strings.TrimSpace(text[len(digits):]), true
	}
	if digits == "" {
		return parsed{}, "", false
	}
	number := digits
	if base == 16 {
		number = strings.Replace(digits, "0x", "", 1)
	}
	whole, err := strconv.ParseInt(number, base, 64)
	if err != nil {
		sign := 1
		if number[0] == '-' {
			sign = -1
		}
		return parsed{float: math.Inf(sign)}, strings.TrimSpace(rest), true
	}
	return parsed{whole, true, float64(whole)}, strings.TrimSpace(rest), true
}

// numberPrefix returns the longest start of text that is a whole number in the
// notation of C, and its base.
func numberPrefix(text string) (digits string, base int) {
	sign := 0
	if text != "" && (text[0] == '+' || text[0] == '-') {
		sign = 1
	}
	number := text[sign:]
	if hex, ok := strings.CutPrefix(number, "0x"); ok {
		if n := span(hex, isHex); n > 0 {
			return text[:sign+2+n], 16
		}
	}
	if strings.HasPrefix(number, "0") {
		return text[:sign+span(number, func(c byte) bool { return '0' <= c && c <= '7' })], 8
	}
	n := span(number, isDigit)
	if n == 0 {
		return "", 0
	}
	return text[:sign+n], 10
}

// floatLength returns how many bytes at the start of text are a decimal number
// with a fraction or an exponent.
func floatLength(text string) int {
	at := 0
	if text != "" && (text[0] == '+' || text[0] == '-') {
		at++
	}
	whole := span(text[at:], isDigit)
	at += whole
	if at < len(text) && text[at] == '.' {
		fraction := span(text[at+1:], isDigit)
		if fraction == 0 {
			if whole == 0 {
				return 0
			}
			return at
		}
		at += 1 + fraction
	} else if whole == 0 {
		return 0
	}
	if at < len(text) && (text[at] == 'e' || text[at] == 'E') {
		exponent := at + 1
		if exponent < len(text) && (text[exponent] == '+' || text[exponent] == '-') {
			exponent++
		}
		if n := span(text[exponent:], isDigit); n > 0 {
			at = exponent + n
		}
	}
	return at
}

// span returns how many bytes at the start of text are accepted.
func span(text string, accept func(byte) bool) int {
	n := 0
	for n < len(text) && accept(text[n]) {
		n++
	}
	return n
}
