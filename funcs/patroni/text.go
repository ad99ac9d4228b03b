package patroni

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds names, hosts and words, in bytes. No host name is longer, and
// proxies have short lines.
const maxText = 255

// unknown is what reads in the place of a word that is absent or not fit to be
// printed.
const unknown = "unknown"

// nameProblem returns why name is not fit to be printed into the configuration
// of a proxy as safeName prints it, or the empty string. A name consists of
// letters and digits of any script, of - . _ : @ + and of spaces, and begins
// with a letter, a digit or an underscore, so that it cannot be taken for an
// option or for YAML syntax.
func nameProblem(name string) string {
	if name == "" {
		return "is empty"
	}
	if len(name) > maxText {
		return fmt.Sprintf("is longer than %d bytes", maxText)
	}
	for i, r := range name {
		if !isNameRune(r, name[i:]) && r != ' ' {
			return fmt.Sprintf("holds %s, which is neither a letter, a digit, a space nor one of - . _ : @ +", describe(r, name[i:]))
		}
		if i == 0 && !isNameStart(r) {
			return fmt.Sprintf("begins with %s, which is neither a letter, a digit nor an underscore", describe(r, name))
		}
	}
	return ""
}

// isNameStart tells whether r, which may be part of a name, may begin one.
func isNameStart(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_'
}

// isNameRune tells whether r, with which rest begins, may be part of a name.
func isNameRune(r rune, rest string) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._:@+", r)
	}
	return !isInvalid(r, rest) && unicode.In(r, unicode.Letter, unicode.Mark, unicode.Nd)
}

// safeName returns name as it can be printed: with an underscore for each
// space, which would be two words to most proxies, and a question mark for each
// other character that is not fit, for people to recognise it.
func safeName(name string) string {
	if nameProblem(name) == "" {
		return strings.ReplaceAll(name, " ", "_")
	}
	safe := replaceUnsafe(name, "")
	if first, size := utf8.DecodeRuneInString(safe); size > 0 && !isNameStart(first) {
		safe = "?" + safe[size:]
	}
	return safe
}

// safePath is safeName for a path: slashes stay.
func safePath(path string) string { return replaceUnsafe(path, "/") }

func replaceUnsafe(text, also string) string {
	var b strings.Builder
	for i, r := range text {
		if b.Len() >= maxText {
			break
		}
		switch {
		case isNameRune(r, text[i:]) || strings.ContainsRune(also, r):
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('_')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// safeWords returns text if it consists of words of ASCII letters, digits, -
// and _ with single spaces between them, as all of Patroni's roles and states
// do, and "unknown" if it is empty or anything else. Words that Patroni may
// come up with one day pass.
func safeWords(text string) string {
	if text == "" || len(text) > 64 || text[0] == ' ' || text[len(text)-1] == ' ' || strings.Contains(text, "  ") {
		return unknown
	}
	for i := range len(text) {
		c := text[i]
		if !isAlnum(c) && c != ' ' && c != '-' && c != '_' {
			return unknown
		}
	}
	return text
}

// safeToken returns text if it consists of ASCII letters, digits and the given
// marks, else the empty string. It is for versions and times.
func safeToken(text, marks string) string {
	if len(text) > 64 {
		return ""
	}
	for i := range len(text) {
		if !isAlnum(text[i]) && strings.IndexByte(marks, text[i]) < 0 {
			return ""
		}
	}
	return text
}

// isPrintable tells whether text is valid UTF-8 without control and formatting
// characters and without line and paragraph separators.
func isPrintable(text string) bool {
	for i, r := range text {
		if r >= ' ' && r < 0x7f {
			continue
		}
		if isInvalid(r, text[i:]) || !unicode.IsGraphic(r) {
			return false
		}
	}
	return true
}

// isInvalid tells whether r stands for a byte that is not UTF-8.
func isInvalid(r rune, rest string) bool {
	return r == utf8.RuneError && !strings.HasPrefix(rest, "\uFFFD")
}

// describe names the character r, with which rest begins, without printing it
// unless it is harmless.
func describe(r rune, rest string) string {
	if isInvalid(r, rest) {
		return fmt.Sprintf("the byte 0x%02x", rest[0])
	}
	if unicode.IsPrint(r) {
		return fmt.Sprintf("%q", r)
	}
	return fmt.Sprintf("the character U+%04X", r)
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
