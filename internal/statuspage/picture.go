package statuspage

import (
	"pc4patroni/funcs/patroni"
	"pc4patroni/internal/report"
)

// membersDrawn is up to how many members a picture says more than a table.
const membersDrawn = 40

// A node is a member in the picture of its cluster, which shows who follows
// whom: lists in lists, drawn by the style sheet.
type node struct {
	Name      string
	Words     string // the role, or the state unless it is as it should be
	Lag       string // "" if there is none
	Leader    bool
	Weak      bool // not fit to be used now
	Broken    bool // no replication from the upstream that is known
	Followers []node
}

// picture returns the members that follow nobody, the leader first, and below
// each those that follow it.
func picture(c *patroni.Cluster) []node {
	if len(c.Members) > membersDrawn {
		return nil
	}
	followers := map[*patroni.Member][]*patroni.Member{}
	var roots []*patroni.Member
	for _, m := range c.Members {
		switch up := m.Upstream(); {
		case m.IsLeader:
			roots = append([]*patroni.Member{m}, roots...)
		case up == nil || m.Problem != "":
			roots = append(roots, m)
		default:
			followers[up] = append(followers[up], m)
		}
	}
	placed := map[*patroni.Member]bool{}
	var place func(members []*patroni.Member) []node
	place = func(members []*patroni.Member) []node {
		var nodes []node
		for _, m := range members {
			if placed[m] {
				continue
			}
			placed[m] = true
			n := node{Name: m.Name, Words: memberWords(m), Leader: m.IsLeader, Weak: report.Weak(m), Followers: place(followers[m])}
			if up := m.Upstream(); up != nil && m.Problem == "" {
				n.Lag, n.Broken = lagWords(m), !replicates(m)
			}
			nodes = append(nodes, n)
		}
		return nodes
	}
	nodes := place(roots)
	return append(nodes, place(c.Members)...) // tags may make them follow each other in a circle
}

// memberWords is the role, or the state unless it is as it should be.
func memberWords(m *patroni.Member) string {
	if m.Problem != "" {
		return "unusable"
	}
	words := report.Role(m)
	switch state := m.DisplayState(); {
	case m.IsLeader && m.Running && !m.Promoted && m.DisplayRole() == "Leader":
		words += ", not promoted yet"
	case state != patroni.StateRunning && state != "streaming":
		return state
	}
	return words
}

// replicates tells whether the member says that it receives what is written.
// Patroni before 3.0.4 does not say.
func replicates(m *patroni.Member) bool {
	return m.Running && (m.ReplicationState == "" || m.ReplicationState == "streaming")
}

// lagWords says how far a member is behind: nothing if it is not.
func lagWords(m *patroni.Member) string {
	switch {
	case m.Lag == 0:
		return ""
	case !m.Lag.Known():
		return "lag unknown"
	}
	return report.Lag(m.Lag) + " behind"
}
