package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/terminal"
)

// maxLine is how many characters of a text fit into one line.
const maxLine = 240

// OneLine makes a text fit for a protocol of lines: a line break in an error
// must not begin another line. It cuts what is long.
func OneLine(text string) string {
	text = terminal.Visible(strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > maxLine {
		text = string(runes[:maxLine]) + "..."
	}
	return text
}

// Printable keeps the lines of a text and escapes what else cannot be printed,
// such as a character that reverses the text around it.
func Printable(text string) string {
	lines := strings.Split(strings.ToValidUTF8(text, "?"), "\n")
	for i := range lines {
		lines[i] = terminal.Visible(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Lag rounds a lag to the unit that a person would choose. "0" is up to date,
// "unknown" is not known to be.
func Lag(lag patroni.Bytes) string {
	switch {
	case lag == 0 || !lag.Known():
		return lag.String()
	case lag < 1024:
		return lag.String() + " B"
	}
	size, unit := float64(lag), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"} {
		if size /= 1024; size < 1023.95 {
			break
		}
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + " " + unit
}

// Duration rounds a duration to what a person wants to know of it.
func Duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Ago says how long ago a moment was, seen from now.
func Ago(at, now time.Time) string {
	if now.Sub(at) < time.Second {
		return "now"
	}
	return Duration(now.Sub(at)) + " ago"
}

// moment writes a time of Patroni's in UTC, and says how far away it is if
// that is less than a day. What is no time stays as it is.
func moment(text string, now time.Time) string {
	var at time.Time
	var err error
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00"} {
		if at, err = time.Parse(layout, text); err == nil {
			break
		}
	}
	if err != nil {
		return text
	}
	written := at.UTC().Format("2006-01-02 15:04:05") + " UTC"
	away := now.Sub(at)
	switch {
	case away.Abs() >= 24*time.Hour:
		return written
	case away < 0:
		return written + " (in " + Duration(-away) + ")"
	default:
		return written + " (" + Ago(at, now) + ")"
	}
}
