package report

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// IsText tells whether a diff of data is worth reading.
func IsText(data []byte) bool { return utf8.Valid(data) && !bytes.ContainsRune(data, 0) }

// LineChanges counts the lines that a unified diff removes and adds.
func LineChanges(unified string) (removed, added int) {
	_, hunks, _ := strings.Cut("\n"+unified, "\n@@")
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
