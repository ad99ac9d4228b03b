package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"pc4patroni/internal/terminal"
)

// Diff returns the hunks of a unified diff, "" where there is no difference. It
// returns false if one of the files is not text.
func Diff(old, now []byte) (hunks string, ok bool) {
	if !isText(old) || !isText(now) {
		return "", false
	}
	unified := udiff.Unified("", "", string(old), string(now))
	_, hunks, ok = strings.Cut(unified, "@@")
	if !ok {
		return "", true
	}
	return "@@" + hunks, true
}

func isText(data []byte) bool { return utf8.Valid(data) && !bytes.ContainsRune(data, 0) }

// The kinds of lines in a diff.
const (
	Same    = ""
	Added   = "added"
	Removed = "removed"
	Where   = "where" // begins a hunk
)

// DiffLine is a line of a diff without its line break, made printable.
type DiffLine struct{ Kind, Text string }

// DiffLines takes a diff apart.
func DiffLines(hunks string) []DiffLine {
	kinds := map[byte]string{'@': Where, '+': Added, '-': Removed}
	var lines []DiffLine
	for line := range strings.Lines(hunks) {
		lines = append(lines, DiffLine{kinds[line[0]], terminal.Visible(strings.TrimSuffix(line, "\n"))})
	}
	return lines
}

// LineChanges counts the lines that a diff removes and adds.
func LineChanges(hunks string) (removed, added int) {
	for line := range strings.Lines(hunks) {
		switch line[0] {
		case '-':
			removed++
		case '+':
			added++
		}
	}
	return removed, added
}

// LineCount says the same in words.
func LineCount(hunks string) string {
	removed, added := LineChanges(hunks)
	return fmt.Sprintf("lines added: %d, removed: %d", added, removed)
}
