package show

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/terminal"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"
)

// Resource is what a resource sees, and what a reconcile would do to its file.
type Resource struct {
	Declared *resource.Resource // nil if the resource file is broken
	Result   engine.ResourceStatus
	keys     int                // how many it sees
	clusters []*patroni.Cluster // as its template gets them
}

// Look finds the clusters among the keys that the resource covers.
func (v *Resource) Look(values map[string]string) {
	store := funcs.NewStore()
	for key, value := range values {
		if relative, ok := v.Declared.Relative(key); ok {
			store.Set(relative, value)
		}
	}
	v.keys = store.Len()
	v.clusters = store.Clusters(v.Declared.Prefix)
}

// printResource prints how the file stands and, below it, what the template
// sees.
func printResource(w *bytes.Buffer, v *Resource) {
	title := terminal.Visible(filepath.Base(v.Result.File))
	if v.Declared == nil {
		fmt.Fprintf(w, "%s cannot be used\n", title)
		for line := range strings.SplitSeq(v.Result.Err.Error(), "\n") {
			fmt.Fprintf(w, "  %s\n", terminal.Visible(line))
		}
		return
	}
	fmt.Fprintf(w, "%s -> %s\n", title, terminal.Visible(v.Result.Dest))
	fmt.Fprintf(w, "  %s\n", terminal.Visible(v.state()))
	for _, line := range v.view() {
		fmt.Fprintf(w, "  %s\n", terminal.Visible(line))
	}
}

// state says how the file is, compared with what it should be.
func (v *Resource) state() string {
	reason := ""
	if v.Result.Err != nil {
		reason = strings.ReplaceAll(v.Result.Err.Error(), "\n", "; ")
	}
	switch v.Result.State {
	case engine.InSync:
		return "in sync"
	case engine.Held:
		return "held, stays as it is: " + reason
	case engine.Waiting:
		return "stays as it is, the backend was not read"
	case engine.Pending:
		return v.pending()
	default:
		return v.Result.State.String() + ": " + reason
	}
}

// pending says what would change.
func (v *Resource) pending() string {
	change := v.Result.Change
	var parts []string
	removed, added := LineChanges(change)
	switch {
	case change.New:
		parts = append(parts, "would be created")
	case removed+added > 0:
		parts = append(parts, fmt.Sprintf("would change, -%d +%d lines", removed, added))
	case !bytes.Equal(change.Old, change.Now):
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

// view says what the template sees.
func (v *Resource) view() []string {
	switch {
	case v.Result.State == engine.Waiting:
		return nil
	case len(v.clusters) == 0 && v.keys > 0:
		return []string{fmt.Sprintf("sees %s below %s and no cluster", count(v.keys, "key"), v.Declared.Prefix)}
	case len(v.clusters) == 0:
		return []string{fmt.Sprintf("sees no key below %s", v.Declared.Prefix)}
	}
	if len(v.clusters) == 1 {
		return seesCluster(v.clusters[0])
	}
	var scopes, headless []string
	for _, c := range v.clusters {
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

// count is a number and what it counts.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
