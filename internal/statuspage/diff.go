package statuspage

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"pc4patroni/internal/report"
)

const (
	diffContext = 3       // lines around a change
	diffShown   = 8 << 10 // bytes of a diff that are kept for the page
)

// diffBegin is how a text of changeText begins if it is a diff.
const diffBegin = "@@"

// changeText returns what the page shows of a change: a unified diff without
// its head, or in words why there is none. The page must not tell anybody what
// the host keeps to itself, so a diff is made only of what every user of the
// host may read, and only for a page that nobody else can reach.
func changeText(loopback bool) func(old, now []byte, public bool) string {
	return func(old, now []byte, public bool) string {
		if !report.IsText(old) || !report.IsText(now) {
			return "not shown: the file is not text"
		}
		before := string(old)
		edits := udiff.Lines(before, string(now))
		unified, err := udiff.ToUnified("", "", before, edits, diffContext)
		if err != nil {
			return "not shown: " + err.Error()
		}
		_, unified, _ = strings.Cut(unified, diffBegin)
		unified = diffBegin + unified
		switch {
		case !public:
			return lineCount(unified) + "; not shown: not every user of the host may read the file"
		case !loopback:
			return lineCount(unified) + "; not shown: the page can be reached from other hosts"
		}
		return shorten(unified)
	}
}

// lineCount says how many lines a diff adds and removes.
func lineCount(unified string) string {
	removed, added := report.LineChanges(unified)
	return fmt.Sprintf("lines added: %d, removed: %d", added, removed)
}

// shorten cuts a diff at the end of a line.
func shorten(unified string) string {
	if len(unified) <= diffShown {
		return unified
	}
	cut := strings.LastIndexByte(unified[:diffShown], '\n') + 1
	if lines := unified[:cut]; !strings.Contains(lines, "\n+") && !strings.Contains(lines, "\n-") {
		return "not shown: a line is too long"
	}
	// A copy, so that the rest is not kept with it.
	return fmt.Sprintf("%s... and %d lines more\n", unified[:cut], strings.Count(unified[cut:], "\n"))
}
