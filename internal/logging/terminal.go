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

// terminalHandler writes records for a person who watches:
//
//	15:04:05 INFO  file installed  resource=haproxy dest=/etc/haproxy/haproxy.cfg
//
// A value of several lines, such as what a command printed, follows below,
// indented. What could act on the terminal is shown in Go's escapes.
type terminalHandler struct {
	slog.Handler // of text; writes to out.line
	out          *lineWriter
}

// lineWriter is shared by a handler and those derived from it.
type lineWriter struct {
	mu       sync.Mutex
	line     bytes.Buffer    // owned, as is what follows, by who holds mu
	below    strings.Builder // what follows the line
	handling bool            // a record is being written
	w        io.Writer
}

func newTerminalHandler(w io.Writer, level slog.Leveler) slog.Handler {
	out := &lineWriter{w: w}
	return &terminalHandler{slog.NewTextHandler(&out.line, &slog.HandlerOptions{Level: level, ReplaceAttr: out.moveBelow}), out}
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

func (h *terminalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.line.Reset()
	h.out.below.Reset()
	fmt.Fprintf(&h.out.line, "%s %-5s %s  ", r.Time.Format(time.TimeOnly), r.Level, r.Message)
	h.out.handling = true
	defer func() { h.out.handling = false }()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	line := bytes.TrimRight(h.out.line.Bytes(), " \n")
	_, err := fmt.Fprintf(h.out.w, "%s\n%s", line, h.out.below.String())
	return err
}

func (h *terminalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	return &terminalHandler{h.Handler.WithAttrs(attrs), h.out}
}

func (h *terminalHandler) WithGroup(name string) slog.Handler {
	return &terminalHandler{h.Handler.WithGroup(name), h.out}
}
