// Package show prints the table of -show: clusters and resources as text for
// people. It reads nothing itself; for programs a view prints itself.
package show

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"pc4patroni/internal/report"
	"pc4patroni/internal/terminal"
)

// Table prints a view whose resources were looked at.
func Table(w *bytes.Buffer, v *report.View) {
	backend := ""
	for _, c := range v.Clusters {
		if len(v.Backends) > 1 && c.Backend != backend {
			backend = c.Backend
			separate(w)
			fmt.Fprintf(w, "from %s:\n", terminal.Visible(backend))
		}
		for _, d := range c.Describe(v.At) {
			printCluster(w, &d)
		}
	}
	if len(v.Resources) > 0 {
		separate(w)
	}
	for i := range v.Resources {
		printResource(w, &v.Resources[i])
	}
}

// separate puts an empty line below what has been printed.
func separate(w *bytes.Buffer) {
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
}

// printCluster prints a cluster in the manner of "patronictl list".
func printCluster(w *bytes.Buffer, d *report.Description) {
	separate(w)
	title := fmt.Sprintf("%s (%s)", d.Title, d.Path)
	if len(d.Facts) > 0 {
		title += ": " + strings.Join(d.Facts, ", ")
	}
	fmt.Fprintln(w, title)
	for _, t := range d.Troubles {
		fmt.Fprintln(w, "  ! "+t.Text)
	}
	if len(d.Members) > 0 {
		printMembers(w, d.Members)
	}
}

// printMembers prints a table. Receive and replay lag share a column unless
// somebody's differ.
func printMembers(w *bytes.Buffer, members []report.Member) {
	split := slices.ContainsFunc(members, func(m report.Member) bool {
		return m.ReceiveLag != "unknown" && m.ReplayLag != "unknown" && m.ReceiveLag != m.ReplayLag
	})
	lags := []string{"LAG"}
	if split {
		lags = []string{"RECEIVE LAG", "REPLAY LAG"}
	}
	rows := [][]string{slices.Concat([]string{"MEMBER", "ADDRESS", "ROLE", "STATE", "TL"}, lags, []string{"NOTES"})}
	for _, m := range members {
		addr := m.Addr
		if addr == "" {
			addr = "-"
		}
		lags := []string{m.Lag}
		if split {
			lags = []string{m.ReceiveLag, m.ReplayLag}
		}
		rows = append(rows, slices.Concat([]string{m.Name, addr, m.Role, m.State, m.Timeline}, lags, []string{strings.Join(m.Notes, ", ")}))
	}
	if !slices.ContainsFunc(members, func(m report.Member) bool { return len(m.Notes) > 0 }) {
		rows[0][len(rows[0])-1] = ""
	}
	var table bytes.Buffer
	columns := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(columns, "  "+strings.ReplaceAll(strings.ReplaceAll(strings.Join(row, "\x00"), "\t", " "), "\x00", "\t"))
	}
	_ = columns.Flush() // into memory
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}
