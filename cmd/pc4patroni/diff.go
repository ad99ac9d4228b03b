package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"pc4patroni/internal/report"
	"pc4patroni/internal/terminal"
	"pc4patroni/resource/engine"
)

// Styles of a diff as git has them, in ECMA-48 sequences. Lines of no kind have
// none.
const (
	headStyle = "\x1b[1m"
	noStyle   = "\x1b[m"
)

var lineStyles = map[string]string{report.Where: "\x1b[36m", report.Added: "\x1b[32m", report.Removed: "\x1b[31m"}

// printChange writes a change as a unified diff that patch(1) accepts. What no
// diff can say, such as a new mode, stands in lines above it that patch skips.
// A coloured diff is for a terminal: what could act on it is made visible.
func printChange(w io.Writer, change *engine.Change, coloured bool) error {
	var head []string
	for _, what := range change.Metadata {
		head = append(head, fmt.Sprintf("# %s: %s", change.Dest, what))
	}
	oldName := change.Dest
	if change.New {
		oldName = os.DevNull
	}
	hunks, ok := report.Diff(change.Old, change.Now)
	switch {
	case hunks != "":
		head = append(head, "--- "+oldName, "+++ "+change.Dest)
	case !ok && (change.New || !bytes.Equal(change.Old, change.Now)):
		head = append(head, fmt.Sprintf("Binary files %s and %s differ", oldName, change.Dest))
	}
	var b strings.Builder
	for _, line := range head {
		if coloured {
			line = headStyle + terminal.Visible(line) + noStyle
		}
		b.WriteString(line + "\n")
	}
	if !coloured {
		b.WriteString(hunks)
	} else {
		for _, line := range report.DiffLines(hunks) {
			if style := lineStyles[line.Kind]; style != "" {
				line.Text = style + line.Text + noStyle
			}
			b.WriteString(line.Text + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wantsColour tells whether standard output is a terminal whose user does not
// object (https://no-color.org).
func (p *program) wantsColour() bool {
	return terminal.Is(p.stdout) && p.Getenv("NO_COLOR") == "" && p.Getenv("TERM") != "dumb"
}
