package main

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"golang.org/x/term"
)

// newLogger returns the program's logger. At a terminal it writes lines for
// people; elsewhere slog's text or JSON. Under systemd's journal, which keeps
// the time itself, it leaves the time out and puts the priority in front.
func newLogger(stderr io.Writer, format string, level slog.Leveler, journalStream string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	journal := isJournal(stderr, journalStream)
	if journal {
		options.ReplaceAttr = withoutTime
	}
	switch {
	case format == "json":
		return slog.New(slog.NewJSONHandler(stderr, options))
	case journal:
		return slog.New(newPriorityHandler(stderr, options))
	case isTerminal(stderr):
		return slog.New(newTerminalHandler(stderr, level))
	default:
		return slog.New(slog.NewTextHandler(stderr, options))
	}
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

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
