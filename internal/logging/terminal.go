package logging

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
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
	level  slog.Leveler
	prefix string      // of keys: the open groups, each with a dot
	attrs  []slog.Attr // with their prefix in the key
	mu     *sync.Mutex // guards w
	w      io.Writer
}

func newTerminalHandler(w io.Writer, level slog.Leveler) *terminalHandler {
	return &terminalHandler{level: level, mu: new(sync.Mutex), w: w}
}

func (h *terminalHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *terminalHandler) Handle(_ context.Context, r slog.Record) error {
	var head, below bytes.Buffer
	fmt.Fprintf(&head, "%s %-5s %s ", r.Time.Format(time.TimeOnly), r.Level, r.Message)
	for _, a := range h.attrs {
		appendAttr(&head, &below, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&head, &below, h.prefix, a)
		return true
	})
	line := append(bytes.TrimRight(head.Bytes(), " "), '\n')
	line = append(line, below.Bytes()...)
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(line)
	return err
}

func (h *terminalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := *h
	derived.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		derived.attrs = append(derived.attrs, a)
	}
	return &derived
}

func (h *terminalHandler) WithGroup(name string) slog.Handler {
	derived := *h
	if name != "" {
		derived.prefix += name + "."
	}
	return &derived
}

// appendAttr writes an attribute to head, or to below if it has several lines.
func appendAttr(head, below *bytes.Buffer, prefix string, a slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			appendAttr(head, below, prefix, member)
		}
		return
	}
	if a.Equal(slog.Attr{}) {
		return
	}
	text := strings.TrimRight(value.String(), "\n")
	if strings.Contains(text, "\n") {
		fmt.Fprintf(below, "    %s:\n", prefix+a.Key)
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintf(below, "      %s\n", terminal.Visible(line))
		}
		return
	}
	if shown := terminal.Visible(text); text == "" || shown != text || strings.ContainsAny(text, " \"=") {
		text = strconv.Quote(text)
	}
	fmt.Fprintf(head, " %s=%s", prefix+a.Key, text)
}
