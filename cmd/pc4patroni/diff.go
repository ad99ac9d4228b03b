package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"pc4patroni/internal/report"
	"pc4patroni/internal/terminal"
	"pc4patroni/resource/engine"
)

// Colours of a diff, as ECMA-48 sequences.
const (
	bold    = "\x1b[1m"
	red     = "\x1b[31m"
	green   = "\x1b[32m"
	cyan    = "\x1b[36m"
	noStyle = "\x1b[m"
)

// printChange writes a change as a unified diff that patch(1) accepts. What no
// diff can say, such as a new mode, stands in lines above it that patch skips.
func printChange(w io.Writer, change *engine.Change, coloured bool) error {
	var b strings.Builder
	for _, what := range change.Metadata {
		fmt.Fprintf(&b, "# %s: %s\n", change.Dest, what)
	}
	oldName := change.Dest
	if change.New {
		oldName = os.DevNull
	}
	switch {
	case bytes.Equal(change.Old, change.Now) && !change.New:
	case report.IsText(change.Old) && report.IsText(change.Now):
		b.WriteString(udiff.Unified(oldName, change.Dest, string(change.Old), string(change.Now)))
	default:
		fmt.Fprintf(&b, "Binary files %s and %s differ\n", oldName, change.Dest)
	}
	text := b.String()
	if coloured {
		text = colour(text)
	}
	_, err := io.WriteString(w, text)
	return err
}

// colour styles the lines of a diff, as git does, for a terminal. What could
// act on the terminal is made visible.
func colour(diff string) string {
	var b strings.Builder
	header := true
	for line := range strings.Lines(diff) {
		line, newline := strings.CutSuffix(line, "\n")
		style := ""
		switch {
		case strings.HasPrefix(line, "@@"):
			style, header = cyan, false
		case header:
			style = bold
		case strings.HasPrefix(line, "+"):
			style = green
		case strings.HasPrefix(line, "-"):
			style = red
		}
		line = terminal.Visible(line)
		if style != "" {
			line = style + line + noStyle
		}
		b.WriteString(line)
		if newline {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// wantsColour tells whether standard output is a terminal whose user does not
// object (https://no-color.org).
func (p *program) wantsColour() bool {
	return terminal.Is(p.stdout) && p.Getenv("NO_COLOR") == "" && p.Getenv("TERM") != "dumb"
}
