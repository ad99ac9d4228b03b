package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/terminal"
)

// Description is a cluster, or a group of a Citus cluster, in words.
type Description struct {
	Of          *patroni.Cluster
	Backend     string
	AsOf        *time.Time
	Title, Path string
	Leader      string // its name, "" if nobody leads
	Troubles    []Remark
	Facts       []string
	Members     []Member
	Running     int    // members
	Lag         string // the largest of those that run; "" without a leader
}

// Level is that of the worst trouble.
func (d *Description) Level() Level {
	worst := OK
	for _, t := range d.Troubles {
		worst = max(worst, t.Level)
	}
	return worst
}

// Member is a member in words.
type Member struct {
	Name, Addr, Role, State string
	Timeline                string // "" if unknown
	// Lags are empty for the leader, whom they are about.
	Lag, ReceiveLag, ReplayLag string
	Notes                      []string
	Leader, Weak               bool // Weak is not fit to serve anybody now
}

// Describe describes a cluster and the groups below it. A Citus cluster without
// members of its own is its groups.
func (c Cluster) Describe(now time.Time) []Description {
	var all []Description
	if !c.Citus() || c.Problem != "" {
		all = append(all, c.describe(now))
	}
	for _, group := range c.Groups {
		all = append(all, Cluster{c.Backend, c.AsOf, group}.Describe(now)...)
	}
	return all
}

func (c Cluster) describe(now time.Time) Description {
	d := Description{
		Of: c.Cluster, Backend: c.Backend, AsOf: c.AsOf,
		Title: terminal.Visible(c.Scope), Path: terminal.Visible(c.Path), Leader: terminal.Visible(c.LeaderName),
		Troubles: troubles(c.Cluster, now), Facts: facts(c.Cluster, now),
	}
	if c.GroupNumber >= 0 {
		d.Title += fmt.Sprintf(" group %d", c.GroupNumber)
	}
	var largest patroni.Bytes
	for _, m := range c.Members {
		d.Members = append(d.Members, describeMember(m))
		if !Weak(m) {
			d.Running++
			largest = max(largest, m.Lag)
		}
	}
	if c.Cluster.Leader != nil {
		d.Lag = Lag(largest)
	}
	return d
}

// troubles is what somebody should look at, the worst first.
func troubles(c *patroni.Cluster, now time.Time) []Remark {
	var found []Remark
	add := func(level Level, format string, args ...any) {
		found = append(found, Remark{terminal.Visible(fmt.Sprintf(format, args...)), level})
	}
	switch {
	case c.Problem != "":
		add(Bad, "cannot be used: %s", c.Problem)
	case c.Citus():
	case c.LeaderName == "":
		add(Bad, "no leader")
	case c.Leader == nil && c.Member(c.LeaderName) != nil:
		add(Bad, "the leader %s cannot be used", c.LeaderName)
	case c.Leader == nil:
		add(Bad, "the leader %s is not among the members", c.LeaderName)
	case !c.Leader.Running:
		add(Bad, "the leader %s is %s", c.LeaderName, c.Leader.State)
	case !c.Leader.Promoted && !c.StandbyCluster:
		add(Warn, "%s has the leader lock but is not promoted yet", c.LeaderName)
	}
	for _, m := range c.Members {
		switch {
		case c.Problem != "":
		case m.Problem != "":
			add(Warn, "%s cannot be used: %s", m.Name, m.Problem)
		case !m.Running && !m.IsLeader:
			add(Warn, "%s is %s", m.Name, m.State)
		}
	}
	if c.Paused {
		add(Warn, "paused: Patroni will not fail over")
	}
	if f := c.Failover; f != nil {
		what := "failover requested"
		if f.Leader != "" {
			what = "switchover requested"
		}
		if f.ScheduledAt != "" {
			what = "switchover scheduled for " + moment(f.ScheduledAt, now)
		}
		if f.Leader != "" {
			what += " from " + f.Leader
		}
		if f.Candidate != "" {
			what += " to " + f.Candidate
		}
		add(Warn, "%s", what)
	}
	return found
}

// facts is what is worth saying of a cluster as a whole that is no trouble.
func facts(c *patroni.Cluster, now time.Time) []string {
	var words []string
	if c.Timeline > 0 {
		began := "timeline " + strconv.FormatInt(c.Timeline, 10)
		if n := len(c.History); n > 0 && c.History[n-1].Time != "" && c.History[n-1].Timeline+1 == c.Timeline {
			began += " since " + moment(c.History[n-1].Time, now)
		}
		words = append(words, began)
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
	if c.SystemID != "" {
		words = append(words, "system "+c.SystemID)
	} else if !c.Citus() && c.Leader == nil {
		words = append(words, "not initialized")
	}
	for i := range words {
		words[i] = terminal.Visible(words[i])
	}
	return words
}

func describeMember(m *patroni.Member) Member {
	v := Member{
		Name: terminal.Visible(m.Name), Addr: terminal.Visible(m.Addr),
		Role: Role(m), State: terminal.Visible(m.DisplayState()),
		Notes: memberNotes(m), Leader: m.IsLeader, Weak: Weak(m),
	}
	if m.Timeline > 0 {
		v.Timeline = strconv.FormatInt(m.Timeline, 10)
	}
	if !m.IsLeader {
		v.Lag, v.ReceiveLag, v.ReplayLag = Lag(m.Lag), Lag(m.ReceiveLag), Lag(m.ReplayLag)
	}
	return v
}

// Role is a member's role in words.
func Role(m *patroni.Member) string {
	return terminal.Visible(strings.ToLower(m.DisplayRole()))
}

// Weak tells whether a member is not fit to serve anybody now.
func Weak(m *patroni.Member) bool { return m.Problem != "" || !m.Running }

// memberNotes is what is unusual about a member.
func memberNotes(m *patroni.Member) []string {
	var notes []string
	note := func(format string, args ...any) {
		notes = append(notes, terminal.Visible(fmt.Sprintf(format, args...)))
	}
	if m.Problem != "" {
		note("unusable: %s", m.Problem)
	}
	if len(m.Addrs) > 1 {
		note("also at %s", strings.Join(m.Addrs[1:], ", "))
	}
	if m.ReplicateFrom != "" && !m.IsLeader {
		if upstream := m.Upstream(); upstream != nil && !upstream.IsLeader {
			note("follows %s", upstream.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Tags())) {
		note("%s=%s", quoted(name), quoted(m.Tag(name)))
	}
	if m.PendingRestart {
		var why []string
		for _, change := range m.PendingRestartReason {
			why = append(why, fmt.Sprintf("%s %s -> %s", change.Name, quoted(change.OldValue), quoted(change.NewValue)))
		}
		note("%s", strings.TrimSuffix("restart pending: "+strings.Join(why, ", "), ": "))
	}
	if m.ScheduledRestart != "" {
		note("restart scheduled for %s", m.ScheduledRestart)
	}
	return notes
}

// quoted puts into quotes what would not be told apart from what follows.
func quoted(text string) string {
	if text == "" || strings.ContainsAny(text, " \t=\",") {
		return strconv.Quote(text)
	}
	return text
}
