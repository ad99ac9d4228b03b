package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pc4patroni/funcs/patroni"
)

// printCluster prints a cluster, and its groups below it, in the manner of
// "patronictl list".
func printCluster(w *bytes.Buffer, c *patroni.Cluster, now time.Time) {
	separate(w)
	title := visible(c.Scope)
	if c.GroupNumber >= 0 {
		title += fmt.Sprintf(" group %d", c.GroupNumber)
	}
	title += " (" + visible(c.Path) + ")"
	if facts := facts(c); len(facts) > 0 {
		title += ": " + strings.Join(facts, ", ")
	}
	writeFolded(w, 0, 4, title)
	if c.Problem != "" {
		writeFolded(w, 2, 4, "problem: "+visible(c.Problem))
	}
	printMembers(w, c.Members)
	for _, note := range clusterNotes(c, now) {
		writeFolded(w, 2, 4, visible(note))
	}
	for _, group := range c.Groups {
		printCluster(w, group, now)
	}
}

// facts is what is worth saying of a cluster as a whole: first who leads, if
// that is not to be seen among the members.
func facts(c *patroni.Cluster) []string {
	var words []string
	switch {
	case c.Citus():
		words = append(words, fmt.Sprintf("%d groups", len(c.Groups)))
	case c.Leader != nil:
	case c.LeaderName == "":
		words = append(words, "no leader")
	case slices.ContainsFunc(c.Members, func(m *patroni.Member) bool { return m.IsLeader }):
		words = append(words, "the leader cannot be used")
	default:
		words = append(words, "the leader "+visible(c.LeaderName)+" is not among the members")
	}
	if c.Timeline > 0 {
		words = append(words, "timeline "+strconv.FormatInt(c.Timeline, 10))
	}
	switch c.SyncMode {
	case patroni.SyncOn:
		words = append(words, "synchronous mode")
	case patroni.SyncQuorum:
		words = append(words, "quorum commit")
	}
	if c.StandbyCluster {
		words = append(words, "standby cluster")
	}
	if c.Failsafe {
		words = append(words, "failsafe mode")
	}
	if c.Paused {
		words = append(words, "paused")
	}
	if c.SystemID != "" {
		words = append(words, "system "+visible(c.SystemID))
	} else if !c.Citus() && c.Leader == nil {
		words = append(words, "not initialized")
	}
	return words
}

// clusterNotes is what is planned for a cluster, and what happened last.
func clusterNotes(c *patroni.Cluster, now time.Time) []string {
	var notes []string
	if f := c.Failover; f != nil {
		note := "a failover is asked for"
		if f.Leader != "" {
			note = "a switchover is asked for, away from " + f.Leader
		}
		if f.ScheduledAt != "" {
			note = "a switchover is scheduled for " + moment(f.ScheduledAt, now)
			if f.Leader != "" {
				note += ", away from " + f.Leader
			}
		}
		if f.Candidate != "" {
			note += ", to " + f.Candidate
		}
		notes = append(notes, note)
	}
	if n := len(c.History); n > 0 && c.History[n-1].Time != "" {
		last := c.History[n-1]
		note := fmt.Sprintf("timeline %d began at %s", last.Timeline+1, moment(last.Time, now))
		if last.Leader != "" {
			note += " on " + last.Leader
		}
		notes = append(notes, note)
	}
	return notes
}

// moment writes a time of Patroni's for people, in UTC, and says how far away
// it is if that is less than a day. What is no time stays as it is.
func moment(text string, now time.Time) string {
	var at time.Time
	var err error
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00"} {
		if at, err = time.Parse(layout, text); err == nil {
			break
		}
	}
	if err != nil {
		return text
	}
	written := at.UTC().Format("2006-01-02 15:04:05") + " UTC"
	away := now.Sub(at).Truncate(time.Second)
	switch {
	case away.Abs() >= 24*time.Hour:
		return written
	case away < 0:
		return written + " (in " + span(-away) + ")"
	default:
		return written + " (" + span(away) + " ago)"
	}
}

// span is a duration with the precision that a person wants: 45s, 12m, 3h5m.
func span(d time.Duration) string {
	if d < time.Minute {
		return d.String()
	}
	return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
}

// printMembers prints a table. What has no place in 80 columns goes on the
// lines below the member.
func printMembers(w *bytes.Buffer, members []*patroni.Member) {
	if len(members) == 0 {
		return
	}
	// Receive and replay lag share a column unless somebody's differ.
	split := slices.ContainsFunc(members, func(m *patroni.Member) bool {
		return m.ReceiveLag.Known() && m.ReplayLag.Known() && inWords(m.ReceiveLag) != inWords(m.ReplayLag)
	})
	t := table{indent: 2}
	if split {
		t.row("MEMBER", "ADDRESS", "ROLE", "STATE", "TL", "RECEIVE LAG", "REPLAY LAG")
	} else {
		t.row("MEMBER", "ADDRESS", "ROLE", "STATE", "TL", "LAG")
	}
	for _, m := range members {
		t.row(memberRow(m, split)...)
		t.note(memberNotes(m)...)
	}
	t.write(w)
}

func memberRow(m *patroni.Member, split bool) []string {
	timeline := ""
	if m.Timeline > 0 {
		timeline = strconv.FormatInt(m.Timeline, 10)
	}
	addr := m.Addr
	if addr == "" {
		addr = "-"
	}
	row := []string{visible(m.Name), visible(addr), strings.ReplaceAll(m.DisplayRole(), "_", " "), visible(m.DisplayState()), timeline}
	switch {
	case m.IsLeader:
		return append(row, "", "")[:len(row)+lagColumns(split)]
	case split:
		return append(row, inWords(m.ReceiveLag), inWords(m.ReplayLag))
	default:
		return append(row, inWords(m.Lag))
	}
}

func lagColumns(split bool) int {
	if split {
		return 2
	}
	return 1
}

// inWords rounds a lag to the unit that a person would choose. "0" is up to
// date, "unknown" is not known to be.
func inWords(lag patroni.Bytes) string {
	switch {
	case lag == 0 || !lag.Known():
		return lag.String()
	case lag < 1024:
		return lag.String() + " B"
	}
	size, unit := float64(lag), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"} {
		if size /= 1024; size < 1023.95 {
			break
		}
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + " " + unit
}

// memberNotes is what is unusual about a member.
func memberNotes(m *patroni.Member) []string {
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, visible(fmt.Sprintf(format, args...))) }
	if m.Problem != "" {
		note("unusable: %s", m.Problem)
	}
	if m.IsLeader && !m.Promoted && m.DisplayRole() == "leader" && m.Problem == "" {
		note("has the lock, but is not promoted yet")
	}
	if len(m.Addrs) > 1 {
		note("also at %s", strings.Join(m.Addrs[1:], ", "))
	}
	if m.ReplicateFrom != "" && !m.IsLeader {
		if upstream := m.Upstream(); upstream != nil && !upstream.IsLeader {
			note("follows %s", upstream.Name)
		}
	}
	if len(m.Tags) > 0 {
		var tags []string
		for _, name := range slices.Sorted(maps.Keys(m.Tags)) {
			tags = append(tags, quoteOdd(name)+"="+quoteOdd(m.Tag(name)))
		}
		note("tags: %s", strings.Join(tags, " "))
	}
	if m.PendingRestart {
		note("a restart is pending%s", restartReasons(m))
	}
	if m.ScheduledRestart != "" {
		note("a restart is scheduled for %s", m.ScheduledRestart)
	}
	return notes
}

// quoteOdd puts into quotes what would not be told apart from what follows.
func quoteOdd(text string) string {
	if text == "" || strings.ContainsAny(text, " \t=\"") {
		return strconv.Quote(text)
	}
	return text
}

// restartReasons lists the settings that wait for a restart, if Patroni says.
func restartReasons(m *patroni.Member) string {
	var reasons []string
	for _, change := range m.PendingRestartReason {
		reasons = append(reasons, fmt.Sprintf("%s %s -> %s", change.Name, quoteOdd(change.OldValue), quoteOdd(change.NewValue)))
	}
	if len(reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(reasons, ", ")
}
