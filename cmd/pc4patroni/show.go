package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
)

// show prints the clusters among the keys as the template functions see them.
func (p *program) show(ctx context.Context) error {
	readings, err := p.read(ctx)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	var inJSON []json.RawMessage
	for _, r := range readings {
		store := funcs.NewStore()
		store.Replace(maps.All(r.values))
		clusters := store.Clusters("/")
		if p.settings.Output == "json" {
			for _, c := range clusters {
				text, err := clusterJSON(r.backend, c)
				if err != nil {
					return err
				}
				inJSON = append(inJSON, text)
			}
			continue
		}
		if len(clusters) > 0 && len(readings) > 1 {
			separate(&out)
			fmt.Fprintf(&out, "from %s:\n", r.backend)
		}
		for _, c := range clusters {
			printCluster(&out, c)
		}
	}
	if len(inJSON) > 0 {
		text, err := json.MarshalIndent(inJSON, "", "  ")
		if err != nil {
			return err
		}
		out.Write(text)
		out.WriteByte('\n')
	}
	if out.Len() == 0 {
		return errors.New(noClusters(readings))
	}
	_, err = io.Copy(p.stdout, &out)
	return err
}

func noClusters(readings []reading) string {
	keys := 0
	for _, r := range readings {
		keys += len(r.values)
	}
	if keys == 0 {
		return nothingBelow(readings)
	}
	return fmt.Sprintf("none of the %d keys belongs to a cluster of Patroni", keys)
}

// clusterJSON is the cluster's own JSON with the backend in front.
func clusterJSON(backend string, c *patroni.Cluster) (json.RawMessage, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	name, err := json.Marshal(backend)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte(`{"backend":`), name, []byte(","), bytes.TrimPrefix(text, []byte("{"))), nil
}

// printCluster prints a cluster, and its groups below it, in the manner of
// "patronictl list".
func printCluster(w *bytes.Buffer, c *patroni.Cluster) {
	separate(w)
	if c.GroupNumber >= 0 {
		fmt.Fprintf(w, "%s group %d", visible(c.Scope), c.GroupNumber)
	} else {
		fmt.Fprint(w, visible(c.Scope))
	}
	fmt.Fprintf(w, " (%s)%s\n", visible(c.Path), facts(c))
	if c.Problem != "" {
		fmt.Fprintf(w, "  problem: %s\n", visible(c.Problem))
	}
	printMembers(w, c.Members)
	for _, group := range c.Groups {
		printCluster(w, group)
	}
}

// separate puts an empty line below what has been printed.
func separate(w *bytes.Buffer) {
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
}

// facts is what is worth saying of a cluster as a whole.
func facts(c *patroni.Cluster) string {
	var words []string
	if c.Timeline > 0 {
		words = append(words, "timeline "+strconv.FormatInt(c.Timeline, 10))
	}
	switch {
	case c.Citus():
		words = append(words, fmt.Sprintf("%d groups", len(c.Groups)))
	case c.Leader == nil:
		words = append(words, "no leader")
	}
	if c.SyncMode != patroni.SyncOff {
		words = append(words, "synchronous "+c.SyncMode)
	}
	if c.StandbyCluster {
		words = append(words, "standby cluster")
	}
	if c.Failsafe {
		words = append(words, "failsafe")
	}
	if c.Paused {
		words = append(words, "paused")
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

// printMembers prints a table. What has no place in 80 columns goes on the
// lines below the member.
func printMembers(w io.Writer, members []*patroni.Member) {
	if len(members) == 0 {
		return
	}
	rows := [][]string{{"MEMBER", "ADDRESS", "ROLE", "STATE", "TL", "LAG"}}
	for _, m := range members {
		rows = append(rows, memberRow(m))
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range rows {
		var line strings.Builder
		for j, cell := range row {
			fmt.Fprintf(&line, "  %-*s", widths[j], cell)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
		if i > 0 {
			printNotes(w, members[i-1])
		}
	}
}

func memberRow(m *patroni.Member) []string {
	timeline := ""
	if m.Timeline > 0 {
		timeline = strconv.FormatInt(m.Timeline, 10)
	}
	lag := inWords(m.Lag)
	if m.IsLeader {
		lag = ""
	}
	addr := m.Addr
	if addr == "" {
		addr = "-"
	}
	return []string{visible(m.Name), visible(addr), visible(strings.ReplaceAll(m.DisplayRole(), "_", " ")), visible(m.DisplayState()), timeline, lag}
}

// inWords rounds a lag to the unit that a person would choose, in PostgreSQL's
// sense: a kB is 1024 bytes.
func inWords(lag patroni.Bytes) string {
	if !lag.Known() || lag < 1024 {
		return lag.String()
	}
	size, unit := float64(lag), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if size /= 1024; size < 1023.95 {
			break
		}
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + " " + unit
}

// printNotes prints what is unusual about a member.
func printNotes(w io.Writer, m *patroni.Member) {
	note := func(format string, args ...any) { fmt.Fprintf(w, "      %s\n", visible(fmt.Sprintf(format, args...))) }
	if m.Problem != "" {
		note("unusable: %s", m.Problem)
	}
	if m.IsLeader && !m.Promoted && m.DisplayRole() == "leader" {
		note("has the lock, but is not promoted yet")
	}
	if len(m.Tags) > 0 {
		var tags []string
		for _, name := range slices.Sorted(maps.Keys(m.Tags)) {
			tags = append(tags, fmt.Sprintf("%s=%s", name, m.Tag(name)))
		}
		note("tags: %s", strings.Join(tags, " "))
	}
	if m.PendingRestart {
		note("a restart is pending")
	}
}
