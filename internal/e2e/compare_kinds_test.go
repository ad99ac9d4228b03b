package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pc4patroni/funcs/patroni"
)

// kind is a reason why the answer from etcd is another than Patroni's own. Those below
// are documented in docs/patroni.md; any other is a mistake.
type kind string

const (
	nobodyAnswers kind = "nobody answers: the host is dead, its keys have not expired yet"
	newLeader     kind = "the new leader is a replica to its own REST API until it is promoted"
	replayLag     kind = "replay lags, which is not in etcd before Patroni 4.1"
	late          kind = "the keys and Patroni's answer follow one another within a cycle or two"
	staleSync     kind = "synchronous mode is off and the sync key still there, by which alone patronictl before 3.3.1 goes"
	noOptime      kind = "the leader's position is not known: unknown here, 0 in patronictl"
)

// difference is one answer that differs.
type difference struct {
	kind                    kind
	where, member, endpoint string
	at                      time.Time
	// lasted is how long it took until, or how long it was since, the two agreed.
	lasted time.Duration
}

// differences are those found, by kind.
type differences map[kind][]difference

func (ds differences) add(d difference) { ds[d.kind] = append(ds[d.kind], d) }

// report logs how often each kind was met, where, and how long it lasted.
func (ds differences) report(t *testing.T) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(ds)) {
		count := map[string]int{}
		longest := map[string]time.Duration{}
		for _, d := range ds[k] {
			phase, _, _ := strings.Cut(d.where, ",")
			what := phase + ": /" + d.endpoint
			count[what]++
			longest[what] = max(longest[what], d.lasted)
		}
		t.Logf("%d times: %s", len(ds[k]), k)
		for _, what := range slices.Sorted(maps.Keys(count)) {
			t.Logf("    %-60s %4d, at most %v", what, count[what], longest[what].Round(time.Millisecond))
		}
	}
}

// allows tells whether the routes answer yes to a question of the REST API about a member.
func (r routes) allows(endpoint, member string) bool {
	has := func(list []string) bool { return slices.Contains(list, member) }
	switch endpoint {
	case "primary":
		return r.Primary == member
	case "leader":
		return r.Leader == member
	case "standby-leader":
		return r.StandbyLeader == member
	case "replica":
		return has(r.Readers)
	case "replica?lag=" + lagLimit:
		return has(r.WithinLag)
	case "sync":
		return has(r.SyncStandbys)
	case "async":
		return has(r.Asynchronous)
	case "read-only":
		return r.Primary == member || r.StandbyLeader == member || has(r.Readers)
	}
	panic("no such endpoint: " + endpoint)
}

// patience is how late one side may be: in these tests a cycle takes a second, and the
// longest step of Patroni that delays one, waiting for others to take the lock, two.
const patience = 4 * time.Second

// timeline is what the templates said of one cluster, state after state.
type timeline struct {
	snapshots []snapshot
	routes    []routes
}

// at is the index of the state that held at a revision.
func (tl timeline) at(rev int64) int {
	i := len(tl.snapshots) - 1
	for i > 0 && tl.snapshots[i].rev > rev {
		i--
	}
	return i
}

// compareSamples holds every answer of every sample against the state at its revision.
func compareSamples(t *testing.T, tl timeline, samples []sample, found differences) {
	t.Helper()
	for _, s := range samples {
		i := tl.at(s.rev)
		for member, answers := range s.answers {
			for endpoint, got := range answers {
				ours := tl.routes[i].allows(endpoint, member)
				if ours == got.yes() {
					continue
				}
				d := difference{member: member, endpoint: endpoint, at: s.at,
					where: fmt.Sprintf("%s, revision %d at %s", s.phase, s.rev, s.at.Format("05.000"))}
				if !tl.explain(i, s, got, ours, &d) {
					t.Errorf("%s: %s /%s is %t by the keys, and Patroni answers %+v; the routes are %+v",
						d.where, member, endpoint, ours, got, tl.routes[i])
					continue
				}
				found.add(d)
			}
		}
	}
}

// explain finds the reason for a difference, and returns false if there is none.
func (tl timeline) explain(i int, s sample, got answer, ours bool, d *difference) bool {
	r := tl.routes[i]
	replica := d.endpoint == "replica" || strings.HasPrefix(d.endpoint, "replica?") || d.endpoint == "sync" || d.endpoint == "async"
	switch {
	case ours && got.Code == 0 && s.killed == d.member:
		d.kind = nobodyAnswers
	case !ours && replica && r.Leader == d.member && r.Promoted != d.member && got.Role == "replica":
		d.kind = newLeader
	case ours && strings.HasPrefix(d.endpoint, "replica?lag=") && s.answers[d.member]["replica"].yes():
		d.kind = replayLag
	case !ours && strings.HasPrefix(d.endpoint, "replica?lag=") && !s.answers[d.member]["replica"].yes():
		d.kind = late // it became a replica between the two questions of this sample
	}
	if d.kind != "" {
		for j := i + 1; j < len(tl.routes) && d.lasted == 0; j++ {
			if now := tl.routes[j]; now.allows(d.endpoint, d.member) != ours || d.kind == newLeader && now.Promoted == d.member {
				d.lasted = tl.snapshots[j].from.Sub(s.at)
			}
		}
		return true
	}
	question := d.endpoint
	if r.allows("replica", d.member) != s.answers[d.member]["replica"].yes() {
		if !tl.stale(i, s, got, d.member) {
			return false
		}
		if strings.HasPrefix(question, "replica?") {
			question = "replica" // Who is none has no lag.
		}
	}
	// Late means: what the other side says was or will be the answer of ours. The nearest
	// such moment is taken.
	near := patience
	for j, other := range tl.routes {
		if other.allows(question, d.member) == ours {
			continue
		}
		apart := tl.snapshots[j].from.Sub(s.at)
		if j < i {
			apart = s.at.Sub(tl.snapshots[j].until)
		}
		if apart < near {
			d.kind, near = late, apart
		}
	}
	d.lasted = near
	return d.kind != ""
}

// stale tells whether a member's key says something else of it than the member itself
// does at the time of a sample: only then can it be late about who is a replica. The REST
// API does not tell tags, so a key whose tags change soon counts as well.
func (tl timeline) stale(i int, s sample, got answer, member string) bool {
	key := func(j int) *patroni.Member {
		return cmp.Or(patroni.Decode(namespace+s.scope, tl.snapshots[j].keys).Member(member), &patroni.Member{})
	}
	now := key(i)
	role := got.Role
	if role == "master" {
		role = patroni.RolePrimary
	}
	if now.Role != role || now.State != got.State {
		return true
	}
	for j := i + 1; j < len(tl.snapshots) && tl.snapshots[j].from.Sub(s.at) < patience; j++ {
		if key(j).NoLoadBalance != now.NoLoadBalance {
			return true
		}
	}
	return false
}
