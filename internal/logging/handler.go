package logging

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"pc4patroni/internal/terminal"
)

// lineHandler writes slog's text lines between a head and a tail of its own.
type lineHandler struct {
	slog.Handler // of text; writes to out.line
	out          *lineWriter
	head         func(slog.Record) string
}

// lineWriter is shared by a handler and those derived from it.
type lineWriter struct {
	mu       sync.Mutex
	line     bytes.Buffer    // owned, as is what follows, by who holds mu
	below    strings.Builder // what follows the line
	handling bool            // a record is being written
	w        io.Writer
}

// newJournalHandler puts the syslog priority in front, as <6>, which the
// journal takes off and files the line under (sd-daemon(3)): journalctl -p
// warning then finds what matters.
func newJournalHandler(w io.Writer, options *slog.HandlerOptions) slog.Handler {
	out := &lineWriter{w: w}
	return &lineHandler{slog.NewTextHandler(&out.line, options), out, func(r slog.Record) string {
		return fmt.Sprintf("<%d>", priority(r.Level))
	}}
}

// newTerminalHandler writes records for a person who watches:
//
//	15:04:05 INFO  file installed  resource=haproxy dest=/etc/haproxy/haproxy.cfg
//
// A value of several lines, such as what a command printed, follows below,
// indented. What could act on the terminal is shown in Go's escapes.
func newTerminalHandler(w io.Writer, level slog.Leveler) slog.Handler {
	out := &lineWriter{w: w}
	text := slog.NewTextHandler(&out.line, &slog.HandlerOptions{Level: level, ReplaceAttr: out.moveBelow})
	return &lineHandler{text, out, func(r slog.Record) string {
		return fmt.Sprintf("%s %-5s %s  ", r.Time.Format(time.TimeOnly), r.Level, r.Message)
	}}
}

// moveBelow takes out of the line what stands in its head, and what has several
// lines. Attributes of a whole logger stay in the line.
func (out *lineWriter) moveBelow(groups []string, a slog.Attr) slog.Attr {
	head := len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey)
	text := strings.TrimRight(a.Value.String(), "\n")
	if !out.handling || !head && !strings.Contains(text, "\n") {
		return a
	}
	if !head {
		fmt.Fprintf(&out.below, "    %s:\n", strings.Join(append(groups, a.Key), "."))
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintf(&out.below, "      %s\n", terminal.Visible(line))
		}
	}
	return slog.Attr{}
}

func (h *lineHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.line.Reset()
	h.out.below.Reset()
	h.out.line.WriteString(h.head(r))
	h.out.handling = true
	defer func() { h.out.handling = false }()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	line := bytes.TrimRight(h.out.line.Bytes(), " \n")
	_, err := fmt.Fprintf(h.out.w, "%s\n%s", line, h.out.below.String())
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	return &lineHandler{h.Handler.WithAttrs(attrs), h.out, h.head}
}

func (h *lineHandler) WithGroup(name string) slog.Handler {
	return &lineHandler{h.Handler.WithGroup(name), h.out, h.head}
}

// priority returns the syslog priority of a level.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	default:
		return 7
	}
}
