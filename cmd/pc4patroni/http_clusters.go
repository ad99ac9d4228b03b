package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pc4patroni/funcs/patroni"
)

// clustersInFull is how many clusters one page shows with members and picture.
// Of more, those with trouble come first, and the others have a row each.
const clustersInFull = 12

// pageClusters is what the page shows of all clusters.
type pageClusters struct {
	Count    int
	Troubled int
	Full     []pageCluster
	Rows     []pageCluster
}

type pageCluster struct {
	Title, Path, Backend string
	Facts                string
	Troubles             []string
	Leader               string
	Members              []pageMember
	Healthy              int    // members that run
	Lag                  string // the largest of those; "" without a leader, who it is about
	Picture              *picture
}

type pageMember struct {
	Name, Addr, Role, State, Timeline, Lag string
	Notes                                  []string
	Leader, Weak                           bool
}

func newPageClusters(clusters []located, chosen string) pageClusters {
	var all []pageCluster
	for _, c := range clusters {
		all = appendPageClusters(all, c.backend, c.Cluster)
	}
	v := pageClusters{Count: len(all)}
	for _, c := range all {
		if len(c.Troubles) > 0 {
			v.Troubled++
		}
	}
	if i := slices.IndexFunc(all, func(c pageCluster) bool { return c.Path == chosen }); chosen != "" && i >= 0 {
		v.Full = all[i : i+1]
	} else if len(all) <= clustersInFull {
		v.Full = all
	} else {
		for _, c := range all {
			if len(c.Troubles) > 0 && len(v.Full) < clustersInFull {
				v.Full = append(v.Full, c)
			} else {
				v.Rows = append(v.Rows, c)
			}
		}
	}
	return v
}

// appendPageClusters adds a cluster, or each group of a Citus cluster.
func appendPageClusters(all []pageCluster, backend string, c *patroni.Cluster) []pageCluster {
	if !c.Citus() {
		all = append(all, newPageCluster(backend, c))
	}
	for _, group := range c.Groups {
		all = appendPageClusters(all, backend, group)
	}
	return all
}

func newPageCluster(backend string, c *patroni.Cluster) pageCluster {
	v := pageCluster{
		Title: c.Scope, Path: c.Path, Backend: printable(backend), Leader: c.LeaderName,
		Facts: clusterFacts(c), Troubles: clusterTroubles(c), Picture: draw(c),
	}
	if c.GroupNumber >= 0 {
		v.Title = fmt.Sprintf("%s, group %d", c.Scope, c.GroupNumber)
	}
	var largest patroni.Bytes
	for _, m := range c.Members {
		if !isWeak(m) {
			v.Healthy++
			largest = max(largest, m.Lag)
		}
		v.Members = append(v.Members, newPageMember(m))
	}
	if c.Leader != nil {
		v.Lag = inWords(largest)
	}
	return v
}

// clusterFacts is what is worth saying of a cluster that is no trouble.
func clusterFacts(c *patroni.Cluster) string {
	var words []string
	if c.Timeline > 0 {
		words = append(words, "timeline "+strconv.FormatInt(c.Timeline, 10))
	}
	if c.SyncMode != patroni.SyncOff {
		words = append(words, "synchronous mode "+c.SyncMode)
	}
	if c.StandbyCluster {
		words = append(words, "standby cluster")
	}
	if c.Failsafe {
		words = append(words, "failsafe mode")
	}
	if n := len(c.History); n > 0 && c.History[n-1].Leader != "" {
		last := c.History[n-1]
		day, _, _ := strings.Cut(last.Time, ".")
		words = append(words, strings.TrimSpace("last promotion: "+last.Leader+" "+strings.Replace(day, "T", " ", 1)))
	}
	return printable(strings.Join(words, ", "))
}

// clusterTroubles is what somebody should look at.
func clusterTroubles(c *patroni.Cluster) []string {
	var troubles []string
	add := func(format string, args ...any) { troubles = append(troubles, printable(fmt.Sprintf(format, args...))) }
	switch {
	case c.Problem != "":
		add("cannot be used: %s", c.Problem)
	case c.LeaderName == "":
		add("no leader")
	case c.Leader == nil:
		add("%s holds the lock, but is no member that can be used", c.LeaderName)
	case !c.Leader.Promoted && !c.StandbyCluster:
		add("%s holds the lock, but is not promoted yet", c.LeaderName)
	}
	for _, m := range c.Members {
		switch {
		case m.Problem != "":
			add("%s cannot be used: %s", m.Name, m.Problem)
		case !m.Running && !m.IsLeader:
			add("%s is %s", m.Name, m.State)
		}
	}
	if c.Paused {
		add("paused: Patroni does not fail over")
	}
	if f := c.Failover; f != nil {
		what := "a failover was asked for"
		if f.Leader != "" {
			what = "a switchover was asked for"
		}
		if f.ScheduledAt != "" {
			what += ", at " + f.ScheduledAt
		}
		add("%s", what)
	}
	return troubles
}

func newPageMember(m *patroni.Member) pageMember {
	v := pageMember{
		Name: printable(m.Name), Addr: m.Addr, Role: strings.ReplaceAll(m.DisplayRole(), "_", " "), State: m.DisplayState(),
		Leader: m.IsLeader, Weak: isWeak(m),
	}
	if m.Timeline > 0 {
		v.Timeline = strconv.FormatInt(m.Timeline, 10)
	}
	if !m.IsLeader {
		v.Lag = inWords(m.Lag)
	}
	if m.Problem != "" {
		v.Role, v.Lag = "unusable", ""
		v.Notes = append(v.Notes, printable(m.Problem))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Tags)) {
		v.Notes = append(v.Notes, printable(name+"="+m.Tag(name)))
	}
	if m.PendingRestart {
		v.Notes = append(v.Notes, "a restart is pending")
	}
	if m.ScheduledRestart != "" {
		v.Notes = append(v.Notes, printable("a restart is planned for "+m.ScheduledRestart))
	}
	return v
}
