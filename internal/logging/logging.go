// Package logging makes the program's logger, in the form that fits who reads
// it: lines for people at a terminal, priorities for systemd's journal, and
// slog's text or JSON elsewhere.
package logging

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"

	"pc4patroni/internal/terminal"
)

// New returns a logger that writes to stderr in the format "text" or "json".
// journalStream is the variable JOURNAL_STREAM. The journal keeps the time of
// a line itself, so there the lines come without.
func New(stderr io.Writer, format string, level slog.Leveler, journalStream string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	journal := isJournal(stderr, journalStream)
	switch {
	case format == "json":
		if journal {
			options.ReplaceAttr = withoutTime
		}
		return slog.New(slog.NewJSONHandler(stderr, options))
	case terminal.Is(stderr) && !journal:
		return slog.New(newTerminalHandler(stderr, level))
	}
	if journal {
		options.ReplaceAttr = withPriority
	}
	return slog.New(slog.NewTextHandler(stderr, options))
}

// Fatal writes why the program ends, a line for each line of err: through the
// logger where programs read along, otherwise as "NAME: REASON".
func Fatal(stderr io.Writer, name, format, journalStream string, err error) {
	log := New(stderr, format, slog.LevelError, journalStream)
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if format == "json" || isJournal(stderr, journalStream) {
			log.Error(line)
		} else {
			fmt.Fprintf(stderr, "%s: %s\n", name, line)
		}
	}
}

// withPriority puts the syslog priority in front of the level, with which a line
// without time begins. The journal files the line under it (sd-daemon(3)), for
// journalctl -p warning.
func withPriority(groups []string, a slog.Attr) slog.Attr {
	level, ok := a.Value.Any().(slog.Level)
	if !ok || len(groups) > 0 || a.Key != slog.LevelKey {
		return withoutTime(groups, a)
	}
	priority := 7
	switch {
	case level >= slog.LevelError:
		priority = 3
	case level >= slog.LevelWarn:
		priority = 4
	case level >= slog.LevelInfo:
		priority = 6
	}
	a.Key = fmt.Sprintf("<%d>%s", priority, a.Key)
	return a
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// isJournal tells whether w is the stream that systemd names in the variable
// JOURNAL_STREAM, as DEVICE:INODE (systemd.exec(5)). A child whose output goes
// elsewhere inherits the variable too, so it alone proves nothing.
func isJournal(w io.Writer, journalStream string) bool {
	file, ok := w.(interface{ Stat() (fs.FileInfo, error) })
	if !ok || journalStream == "" {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && journalStream == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
