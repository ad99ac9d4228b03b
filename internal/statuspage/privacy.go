package statuspage

import (
	"fmt"
	"strings"

	"pc4patroni/internal/report"
)

// diffShown is how many bytes of a diff are kept for the page.
const diffShown = 8 << 10

// changeText returns what the page shows of a change: a diff, or in words why
// there is none. The page must not tell anybody what the host keeps to itself,
// so a diff is made only of what every user of the host may read, and only for
// a page that nobody else can reach.
func changeText(loopback bool) func(old, now []byte, public bool) string {
	return func(old, now []byte, public bool) string {
		hunks, ok := report.Diff(old, now)
		if !ok {
			return "not shown: the file is not text"
		}
		if reason := secret(loopback, public); reason != "" {
			return report.LineCount(hunks) + "; " + reason
		}
		return shorten(hunks)
	}
}

// outputText returns what the page shows of the output of a command: it may
// quote the file, so the same holds for it.
func outputText(loopback bool) func(output string, public bool) string {
	return func(output string, public bool) string {
		if reason := secret(loopback, public); reason != "" && output != "" {
			return reason
		}
		return output
	}
}

// secret says why what a file holds is not shown, "" if it may be.
func secret(loopback, public bool) string {
	switch {
	case !public:
		return "not shown: not every user of the host may read the file"
	case !loopback:
		return "not shown: the page can be reached from other hosts"
	}
	return ""
}

// shorten cuts a diff at the end of a line.
func shorten(hunks string) string {
	if len(hunks) <= diffShown {
		return hunks
	}
	cut := strings.LastIndexByte(hunks[:diffShown], '\n') + 1
	if lines := hunks[:cut]; !strings.Contains(lines, "\n+") && !strings.Contains(lines, "\n-") {
		return "not shown: a line is too long"
	}
	// A copy, so that the rest is not kept with it.
	return fmt.Sprintf("%s... and %d lines more\n", hunks[:cut], strings.Count(hunks[cut:], "\n"))
}
