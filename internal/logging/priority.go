package logging

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
)

// priorityHandler writes slog's text lines with the syslog priority in front,
// as <6>, which the journal takes off and files the line under
// (sd-daemon(3)): journalctl -p warning then finds what matters.
type priorityHandler struct {
	text slog.Handler // writes to line
	out  *priorityWriter
}

// priorityWriter is shared by a handler and those derived from it.
type priorityWriter struct {
	mu   sync.Mutex
	line bytes.Buffer // owned by who holds mu
	w    io.Writer
}

func newPriorityHandler(w io.Writer, options *slog.HandlerOptions) *priorityHandler {
	out := &priorityWriter{w: w}
	return &priorityHandler{slog.NewTextHandler(&out.line, options), out}
}

func (h *priorityHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.text.Enabled(ctx, level)
}

func (h *priorityHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.line.Reset()
	h.out.line.WriteString("<" + strconv.Itoa(priority(r.Level)) + ">")
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.out.w.Write(h.out.line.Bytes())
	return err
}

func (h *priorityHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &priorityHandler{h.text.WithAttrs(attrs), h.out}
}

func (h *priorityHandler) WithGroup(name string) slog.Handler {
	return &priorityHandler{h.text.WithGroup(name), h.out}
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
