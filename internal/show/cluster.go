package show

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/report"
)

// printCluster prints a cluster, and its groups below it, in the manner of
// "patronictl list".
func printCluster(w *bytes.Buffer, c *patroni.Cluster, now time.Time) {
	for _, v := range report.Clusters(c, now) {
		separate(w)
		title := fmt.Sprintf("%s (%s)", v.Title, v.Path)
		if len(v.Facts) > 0 {
			title += ": " + strings.Join(v.Facts, ", ")
		}
		fmt.Fprintln(w, title)
		for _, t := range v.Troubles {
			fmt.Fprintln(w, "  ! "+t.Text)
		}
		if len(v.Members) > 0 {
			printMembers(w, v.Members)
		}
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
