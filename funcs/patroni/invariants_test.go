package patroni

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// checkInvariants checks what holds of every cluster, whatever its keys say.
func checkInvariants(t *testing.T, c *Cluster) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%q: %s", c.Path, fmt.Sprintf(format, args...))
	}
	checkText := func(what, text, marks string) {
		t.Helper()
		for _, r := range text {
			if r == '\uFFFD' || !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Nd) && !strings.ContainsRune(marks, r) {
				fail("%s %q holds %q", what, text, r)
				return
			}
		}
	}
	const nameMarks, urlMarks, hostMarks = "-._:@+?", "-._~/%:[],", "-._:%"
	for _, name := range append(names(c.Members), c.Scope, c.LeaderName, c.SyncLeader) {
		if name != "" && strings.Contains("-.:@+", name[:1]) {
			fail("name %q begins with a mark", name)
		}
	}
	checkText("scope", c.Scope, nameMarks)
	checkText("path", c.Path, nameMarks+"/")
	checkText("leader name", c.LeaderName, nameMarks)
	checkText("sync leader", c.SyncLeader, nameMarks)
	checkText("system id", c.SystemID, "-")
	for name, u := range c.FailsafeMembers {
		checkText("failsafe member", name, nameMarks)
		checkText("failsafe URL", u, urlMarks)
	}
	for _, p := range c.History {
		checkText("time", p.Time, "+-:. ")
		checkText("new leader", p.Leader, nameMarks)
		if !isPrintable(p.Reason) {
			fail("reason %q", p.Reason)
		}
	}
	if c.Failover != nil {
		checkText("failover leader", c.Failover.Leader, nameMarks)
		checkText("failover candidate", c.Failover.Candidate, nameMarks)
		checkText("failover time", c.Failover.ScheduledAt, "+-:. ")
	}

	for _, m := range c.Members {
		checkText("name", m.Name, nameMarks)
		checkText("host", m.Host, hostMarks)
		checkText("API host", m.APIHost, hostMarks)
		checkText("proxy host", m.ProxyHost, hostMarks)
		checkText("role", m.Role, "-_ ")
		checkText("state", m.State, "-_ ")
		checkText("replication state", m.ReplicationState, "-_ ")
		checkText("version", m.Version, ".-+_")
		checkText("schedule", m.ScheduledRestart, "+-:. ")
		checkText("replicatefrom", m.ReplicateFrom, nameMarks)
		for _, addr := range append([]string{m.Addr, m.APIAddr, m.ProxyAddr}, m.Addrs...) {
			checkText("address", addr, hostMarks+"[]")
		}
		for _, u := range []string{m.ConnURL, m.APIURL, m.ProxyURL} {
			checkText("URL", u, urlMarks)
			if u != "" && !strings.Contains(u, ",") {
				if parsed, err := url.Parse(u); err != nil || parsed.Host == "" {
					fail("URL %q: %v", u, err)
				}
			}
		}
		for name := range m.Tags() {
			if !isPrintable(name) || !isPrintable(m.Tag(name)) {
				fail("tag %q is %q", name, m.Tag(name))
			}
		}
		addresses := m.Host + m.Addr + strings.Join(m.Addrs, "") + m.ConnURL + m.ProxyURL + m.ProxyHost + m.ProxyAddr +
			m.APIURL + m.APIScheme + m.APIHost + m.APIAddr
		if m.Usable() {
			if m.Addr == "" || m.Host == "" || m.ConnURL == "" || m.Port < 1 || m.Port > 65535 || len(m.Addrs) == 0 || m.Name != strings.ReplaceAll(m.key, " ", "_") {
				fail("%q is usable without an address: %+v", m.Name, m)
			}
			if (m.APIAddr == "") != (m.APIPort == 0) || (m.APIAddr == "") != (m.APIURL == "") || (m.ProxyAddr == "") != (m.ProxyPort == 0) {
				fail("%q has half an address: %+v", m.Name, m)
			}
		} else if addresses != "" || m.Port != 0 || m.APIPort != 0 || m.ProxyPort != 0 {
			fail("%q has a problem and an address: %+v", m.Name, m)
		}
		if !isPrintable(m.Problem) || strings.Contains(m.Problem, "%!") {
			fail("problem %q", m.Problem)
		}
		if m.Lag < 0 || m.ReceiveLag < 0 || m.ReplayLag < 0 || m.XLogLocation < 0 || m.Timeline < 0 {
			fail("%q has a negative amount: %+v", m.Name, m)
		}
		if m.Promoted && (!m.IsLeader || c.StandbyCluster) {
			fail("%q is promoted and no leader", m.Name)
		}
		if got := fmt.Sprint(m); got != m.Name {
			fail("a member prints as %q", got)
		}
		_ = m.Raw()
	}

	lists := map[string][]*Member{"members": c.Members, "replicas": c.Replicas, "readers": c.Readers, "sync": c.SyncStandbys, "voters": c.QuorumVoters, "async": c.AsyncReaders}
	for what, list := range lists {
		if !slices.IsSortedFunc(list, func(a, b *Member) int { return strings.Compare(a.key, b.key) }) {
			fail("%s are not sorted: %v", what, list)
		}
		for _, m := range list {
			if !slices.Contains(c.Members, m) {
				fail("%s: %q is no member", what, m.Name)
			}
			if what != "members" && (!m.Usable() || m.IsLeader || !m.Running || m.Role != RoleReplica || m == c.Leader) {
				fail("%s: %q does not belong there", what, m.Name)
			}
		}
	}
	subset := func(what string, part, whole []*Member) {
		for _, m := range part {
			if !slices.Contains(whole, m) {
				fail("%s: %q", what, m.Name)
			}
		}
	}
	subset("reader but no replica", c.Readers, c.Replicas)
	subset("sync standby but no reader", c.SyncStandbys, c.Readers)
	subset("voter but no reader", c.QuorumVoters, c.Readers)
	subset("asynchronous but no reader", c.AsyncReaders, c.Readers)
	if len(c.SyncStandbys) > 0 && c.SyncMode != SyncOn || len(c.QuorumVoters) > 0 && c.SyncMode != SyncQuorum {
		fail("standbys in mode %s", c.SyncMode)
	}
	if c.Primary != nil && (c.Primary != c.Leader || c.StandbyLeader != nil || c.StandbyCluster) {
		fail("primary is %v, leader %v, standby leader %v", c.Primary, c.Leader, c.StandbyLeader)
	}
	if c.Leader != nil && (!c.Leader.Usable() || !c.Leader.IsLeader || c.Leader.Name != c.LeaderName) {
		fail("leader is %v", c.Leader)
	}
	if p := c.Promoted(); p != nil && p != c.Primary {
		fail("promoted is %v", p)
	}
	if c.Citus() && (len(c.Members) > 0 || c.Leader != nil) {
		fail("a Citus scope has members")
	}
	if !slices.IsSortedFunc(c.Groups, func(a, b *Cluster) int { return a.GroupNumber - b.GroupNumber }) {
		fail("groups are not sorted")
	}
	if _, err := json.Marshal(c); err != nil {
		fail("marshal: %v", err)
	}
	_ = c.Config()
	for _, group := range c.Groups {
		if c.Group(group.GroupNumber) != group {
			fail("group %d is not found", group.GroupNumber)
		}
		checkInvariants(t, group)
	}
}
