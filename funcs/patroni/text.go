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
// of a proxy as safeName prints it, or the empty string. What it begins with
// cannot be taken for an option or for YAML syntax.
func nameProblem(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxText:
		return fmt.Sprintf("is longer than %d bytes", maxText)
	}
	for i, r := range name {
		if !isNameRune(r) && r != ' ' {
			return fmt.Sprintf("holds %s, which is neither a letter, a digit, a space nor one of - . _ : @ +", describe(name[i:]))
		}
		if i == 0 && !isNameStart(r) {
			return fmt.Sprintf("begins with %s, which is neither a letter, a digit nor an underscore", describe(name))
		}
	}
	return ""
}

// isNameStart tells whether r, which may be part of a name, may begin one.
func isNameStart(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_'
}

func isNameRune(r rune) bool {
	return unicode.In(r, unicode.Letter, unicode.Mark, unicode.Nd) || strings.ContainsRune("-._:@+", r)
}

// safeName returns name as it can be printed: with an underscore for each
// space, which would be two words to most proxies, and a question mark for each
// other character that is not fit, for people to recognise it.
func safeName(name string) string {
	safe := replaceUnsafe(name, "")
	if first, size := utf8.DecodeRuneInString(safe); size > 0 && !isNameStart(first) {
		safe = "?" + safe[size:]
	}
	return safe
}

// replaceUnsafe replaces what is part of no name and not in also, and cuts off
// what is too long.
func replaceUnsafe(text, also string) string {
	size := 0
	return strings.Map(func(r rune) rune {
		switch {
		case size >= maxText:
			return -1
		case r == ' ':
			r = '_'
		case !isNameRune(r) && !strings.ContainsRune(also, r):
			r = '?'
		}
		size += utf8.RuneLen(r)
		return r
	}, text)
}

// safeWords returns text if it consists of words of ASCII letters, digits, -
// and _ with single spaces between them, as all of Patroni's roles and states
// do, also those to come, else "unknown".
func safeWords(text string) string {
	for word := range strings.SplitSeq(text, " ") {
		if word == "" || len(text) > 64 || !consistsOf(word, "-_") {
			return unknown
		}
	}
	return text
}

// safeToken returns text if it consists of ASCII letters, digits and the given
// marks, else the empty string. It is for versions and times.
func safeToken(text, marks string) string {
	if len(text) > 64 || !consistsOf(text, marks) {
		return ""
	}
	return text
}

// consistsOf tells whether all of text is ASCII letters, digits and marks.
func consistsOf(text, marks string) bool {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(marks, c) >= 0) {
			return false
		}
	}
	return true
}

// isPrintable tells whether text is valid UTF-8 without control and formatting
// characters and without line and paragraph separators.
func isPrintable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// describe names the first character of text, printing it only if that is
// harmless.
func describe(text string) string {
	switch r, size := utf8.DecodeRuneInString(text); {
	case r == utf8.RuneError && size == 1: // not UTF-8
		return fmt.Sprintf("the byte 0x%02x", text[0])
	case unicode.IsPrint(r):
		return fmt.Sprintf("%q", r)
	default:
		return fmt.Sprintf("the character U+%04X", r)
	}
}
