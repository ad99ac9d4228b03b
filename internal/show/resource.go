package show

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/report"
	"pc4patroni/internal/terminal"
	"pc4patroni/resource/engine"
)

// printResource prints how the file stands and, below it, what the template
// sees.
func printResource(w *bytes.Buffer, r *report.Resource) {
	title := filepath.Base(r.File) + " cannot be used"
	lines := strings.Split(r.Error, "\n")
	if r.Dest != "" {
		title = filepath.Base(r.File) + " -> " + r.Dest
		lines = append([]string{state(r)}, sees(r)...)
	}
	fmt.Fprintln(w, terminal.Visible(title))
	for _, line := range lines {
		fmt.Fprintln(w, "  "+terminal.Visible(line))
	}
}

// state says how the file is, compared with what it should be.
func state(r *report.Resource) string {
	reason := strings.ReplaceAll(r.Error, "\n", "; ")
	switch r.State {
	case engine.InSync.String():
		return "in sync"
	case engine.Held.String():
		return "held, stays as it is: " + reason
	case engine.Waiting.String():
		return "not compared, because the backend could not be read"
	case engine.Pending.String():
		return pending(r.Change)
	default:
		return r.State + ": " + reason
	}
}

// pending says what would change.
func pending(change *report.Change) string {
	var parts []string
	switch {
	case change.New:
		parts = append(parts, "would be created")
	case change.LinesRemoved+change.LinesAdded > 0:
		parts = append(parts, fmt.Sprintf("would change, -%d +%d lines", change.LinesRemoved, change.LinesAdded))
	case change.Content:
		parts = append(parts, "would change")
	}
	for _, what := range change.Metadata {
		parts = append(parts, "would change, "+what)
	}
	switch {
	case len(parts) == 0:
		return "in sync, but its reload is pending"
	case change.Reload == "":
	case strings.Contains(strings.TrimSpace(change.Reload), "\n"):
		parts = append(parts, "then its reload_cmd")
	default:
		parts = append(parts, "then "+strings.TrimSpace(change.Reload))
	}
	return strings.Join(parts, ", ")
}

// sees says what the template sees.
func sees(r *report.Resource) []string {
	switch {
	case r.State == engine.Waiting.String():
		return nil
	case len(r.Sees) == 0 && r.Keys == 1:
		return []string{fmt.Sprintf("sees 1 key below %s and no cluster", r.Prefix)}
	case len(r.Sees) == 0 && r.Keys > 0:
		return []string{fmt.Sprintf("sees %d keys below %s and no cluster", r.Keys, r.Prefix)}
	case len(r.Sees) == 0:
		return []string{fmt.Sprintf("sees no key below %s", r.Prefix)}
	case len(r.Sees) == 1:
		return seesCluster(r.Sees[0])
	}
	var scopes, headless []string
	for _, c := range r.Sees {
		scopes = append(scopes, c.Scope)
		if !isLed(c) {
			headless = append(headless, c.Scope)
		}
	}
	lines := []string{fmt.Sprintf("sees %d clusters: %s", len(scopes), strings.Join(scopes, ", "))}
	if len(headless) > 0 {
		lines = append(lines, "without a leader: "+strings.Join(headless, ", "))
	}
	return lines
}

// isLed tells whether the cluster, or each of its groups, has a usable leader.
func isLed(c *patroni.Cluster) bool {
	if c.Citus() {
		return !slices.ContainsFunc(c.Groups, func(g *patroni.Cluster) bool { return g.Leader == nil })
	}
	return c.Leader != nil
}

// seesCluster names those whom a template would use.
func seesCluster(c *patroni.Cluster) []string {
	if c.Citus() {
		var lines []string
		for _, group := range c.Groups {
			lines = append(lines, fmt.Sprintf("sees %s group %d: %s", c.Scope, group.GroupNumber, whomToUse(group)))
		}
		return lines
	}
	return []string{"sees " + c.Scope + ": " + whomToUse(c)}
}

func whomToUse(c *patroni.Cluster) string {
	leader := "no primary"
	switch {
	case c.StandbyLeader != nil:
		leader = "standby leader " + c.StandbyLeader.Name
	case c.StandbyCluster:
		leader = "no standby leader"
	case c.Primary != nil && !c.Primary.Promoted:
		leader = "primary " + c.Primary.Name + " (not promoted yet)"
	case c.Primary != nil:
		leader = "primary " + c.Primary.Name
	}
	var readers []string
	for _, m := range c.Readers {
		readers = append(readers, m.Name)
	}
	if len(readers) == 0 {
		return leader + "; no readers"
	}
	return leader + "; readers " + strings.Join(readers, ", ")
}
