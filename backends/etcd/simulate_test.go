package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"pc4patroni/backends"
	"pc4patroni/internal/schedule"
)

// TestSimulation has a client follow a simulated etcd of three members, in virtual time,
// while members die, freeze, lag, stick and are cut off, the store is compacted, restored
// and replaced, tokens expire and permissions change. What the client holds must at
// any moment be what the store held at the revision that it names. At the end it must be what
// the store holds, first with one member lost, then when all is well again; a change must
// arrive at once, and heartbeats must cost no reads.
func TestSimulation(t *testing.T) {
	schedule.Run(t, simEvents, func(steps []schedule.Step) error { return simulate(t, steps) })
}

var simEvents = []string{
	"put", "put", "put", "put", "delete", "wipe", "many changes",
	"member down", "member down", "member frozen", "member cut off", "member sticks", "members back", "members back",
	"compact", "replace store", "restore backup", "restore in the same cluster",
	"tokens expire", "permissions change", "deny", "allow", "proxied", "not proxied",
}

var simPaths = []string{"/service/a/", "/service/a/leader", "/service/b/", "/service/"}

// simFollower is what the engine is for the client.
type simFollower struct {
	s        *simStore
	held     map[string]map[string]string // by path; nil if none, or denied
	versions map[string]backends.Version
	last     time.Time  // of the last call
	loose    bool       // a restore in the same cluster may go unnoticed before the next full read
	mu       sync.Mutex // guards what follows
	mistaken bool
	events   []string // what happened, mistakes among it
}

func simulate(t *testing.T, steps []schedule.Step) (result error) {
	synctest.Test(t, func(t *testing.T) {
		variant, resync := 0, time.Hour
		for _, step := range steps {
			variant += step.Arg
			if step.What == "deny" || step.What == "restore in the same cluster" {
				resync = 30 * time.Second // which is what notices them at the latest
			}
		}
		random := rand.New(rand.NewPCG(uint64(len(steps)), uint64(variant)))
		s := newSimStore(random)
		cfg := Config{Nodes: []string{"http://m0:2379", "http://m1:2379", "http://m2:2379"}}
		if variant%2 == 0 {
			s.auth, cfg.Username, cfg.Password = true, "user", "secret"
		}
		c := newSimClient(t, cfg, s)
		f := &simFollower{s: s, held: map[string]map[string]string{}, versions: map[string]backends.Version{}, last: time.Now()}
		s.txn("/service/a/leader", "1", "/service/a/x", "1", "/service/b/leader", "1")
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.follow(ctx, c, resync)
		}()
		serial := 1
		for _, step := range steps {
			serial++
			f.do(step, serial)
			time.Sleep(step.Wait)
		}
		f.heal()
		time.Sleep(10 * time.Second)
		f.do(schedule.Step{What: []string{"member down", "member frozen", "member cut off", "member sticks"}[variant%4], Arg: variant / 4}, 0)
		s.txn("/service/b/leader", "the last but one")
		time.Sleep(6 * time.Minute)
		f.judge("six minutes after a change, with one member lost")
		f.heal()
		time.Sleep(2 * time.Minute)
		f.judge("after two minutes of peace")
		s.mu.Lock()
		quiet := time.Since(f.last)
		s.mu.Unlock()
		if quiet > backends.Silence {
			f.mistake("the client has said nothing for %v", quiet)
		}
		s.txn("/service/a/leader", "the last")
		time.Sleep(100 * time.Millisecond)
		f.judge("100 ms after a change")
		s.mu.Lock()
		before := s.reads
		s.mu.Unlock()
		const beats = 60
		for i := range beats {
			s.txn("/service/a/beat", fmt.Sprint(i), "/service/b/beat", fmt.Sprint(i))
			time.Sleep(10 * time.Second)
		}
		s.mu.Lock()
		// 23 full reads at most, in pages of three keys, and two looks at the revision a minute.
		if n, most := s.reads-before, 23*(2+len(s.states[s.head()])/3)+20; n > most {
			f.mistake("%d heartbeats cost %d reads, of %d at most", beats, n, most)
		}
		s.mu.Unlock()
		f.judge("after ten minutes of heartbeats")
		cancel()
		<-done
		if err := c.Close(); err != nil {
			f.mistake("Close: %v", err)
		}
		if f.mistaken {
			result = errors.New(strings.Join(f.events, "\n"))
		}
	})
	return result
}

// However many nodes hang, the watchdog must not take the program for one that does.
func TestHungNodesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimStore(rand.New(rand.NewPCG(1, 1)))
		cfg := Config{Nodes: []string{"http://m0:2379", "http://m1:2379", "http://m2:2379", "http://m3:2379", "http://m4:2379"}, RequestTimeout: 5 * time.Second}
		c := newSimClient(t, cfg, s)
		for _, m := range s.members {
			m.frozen = true
		}
		began := time.Now()
		if _, err := c.Load(t.Context(), []string{"/service/"}); err == nil {
			t.Error("Load of a frozen etcd succeeds")
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("Load takes %v", took)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// newSimClient makes a client whose connection is the simulated store.
func newSimClient(t *testing.T, cfg Config, s *simStore) *Client {
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	// It is never used, and says so by being idle.
	if c.conn, err = grpc.NewClient("passthrough:///simulated", grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	sim := &simClient{s: s, token: c.token}
	c.nodes, c.kv, c.watch, c.auth = cfg.Nodes, sim, sim, sim
	return c
}

func (f *simFollower) mistake(format string, args ...any) {
	f.log(format, args...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mistaken = true
}

func (f *simFollower) log(format string, args ...any) {
	at := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, fmt.Sprintf("%v %s", at.Round(time.Millisecond), fmt.Sprintf(format, args...)))
}

// follow watches, and starts over when that ends, as the engine does.
func (f *simFollower) follow(ctx context.Context, c *Client, resync time.Duration) {
	for ctx.Err() == nil {
		var paths []backends.WatchPath
		for _, path := range simPaths {
			paths = append(paths, backends.WatchPath{Path: path, After: f.versions[path]})
		}
		err := c.Watch(ctx, paths, resync, func(updates []backends.Update) error {
			f.s.mu.Lock()
			defer f.s.mu.Unlock()
			f.last = time.Now()
			for _, u := range updates {
				f.take(u)
			}
			return nil
		})
		if err == nil {
			f.mistake("Watch returned without an error")
		}
		f.log("Watch: %v", err)
		select {
		case <-time.After(200*time.Millisecond + rand.N(time.Second)):
		case <-ctx.Done():
		}
	}
}

func (f *simFollower) take(u backends.Update) {
	before, had := f.held[u.Path], f.versions[u.Path] != ""
	switch {
	case u.Denied != nil:
		if !f.s.auth {
			f.mistake("%s is denied, although nothing is: %v", u.Path, u.Denied)
		}
		f.held[u.Path], f.versions[u.Path] = nil, ""
		return
	case u.Keys != nil:
		f.held[u.Path] = maps.Clone(u.Keys)
	case !had:
		f.mistake("%s: changes came without a state", u.Path)
		return
	default:
		now := maps.Clone(before)
		for _, ch := range u.Changes {
			if ch.Deleted {
				delete(now, ch.Key)
			} else {
				now[ch.Key] = ch.Value
			}
		}
		f.held[u.Path] = now
	}
	cluster, revision := parseVersion(u.Version)
	if was, rev := parseVersion(f.versions[u.Path]); had && sameCluster(was, cluster) && revision < rev && u.Resync != backends.ResyncReplaced {
		f.mistake("%s went back from revision %d to %d: %q", u.Path, rev, revision, u.Resync)
	}
	f.versions[u.Path] = u.Version
	if u.Keys == nil && f.loose {
		return
	}
	for id, histories := range f.s.truth {
		for _, states := range histories {
			if sameCluster(id, cluster) && revision < int64(len(states)) && states[revision] != nil && maps.Equal(below(states[revision], u.Path), f.held[u.Path]) {
				return
			}
		}
	}
	f.mistake("%s at %s is %v, which the store never held at that revision", u.Path, u.Version, f.held[u.Path])
}

// below returns the keys that a path covers.
func below(state map[string]string, path string) map[string]string {
	keys := map[string]string{}
	for key, value := range state {
		if covers(rangeOf(path), key) {
			keys[key] = value
		}
	}
	return keys
}

func (f *simFollower) do(step schedule.Step, serial int) {
	s := f.s
	f.log("%v", step)
	cluster := "/service/" + []string{"a", "b"}[step.Arg%2]
	value := fmt.Sprint(serial)
	switch step.What {
	case "put":
		s.txn(cluster+"/leader", value, cluster+"/x", value)
		return
	case "delete":
		s.txn(cluster+"/leader", "")
		return
	case "many changes":
		for i := range 1 + step.Arg%100 {
			s.txn(fmt.Sprintf("%s/%d", cluster, i%10), fmt.Sprint(value, i))
		}
		return
	case "wipe":
		var pairs []string
		s.mu.Lock()
		for _, key := range slices.Sorted(maps.Keys(s.states[s.head()])) {
			pairs = append(pairs, key, "")
		}
		s.mu.Unlock()
		s.txn(pairs...)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[step.Arg%3]
	switch step.What {
	case "member down":
		m.down = true
		clear(m.tokens)
		s.endStreams(m)
	case "member frozen":
		m.frozen = true
	case "member cut off":
		m.cut = true
		s.loseLeader(m)
	case "member sticks":
		m.sticks = true
	case "members back":
		s.back()
	case "compact":
		s.compacted = s.head()
	case "replace store":
		s.begin(s.cluster+1, map[string]string{"/service/a/leader": value}, 1)
	case "restore backup", "restore in the same cluster":
		id := s.cluster + 1
		if step.What == "restore in the same cluster" {
			id, f.loose = s.cluster, true
		}
		from := s.head() - min(int64(step.Arg%20), s.head()-s.compacted)
		s.begin(id, s.states[from], from)
	case "tokens expire":
		for _, m := range s.members {
			clear(m.tokens)
		}
	case "permissions change":
		s.authRev++
	case "deny":
		if s.denied = cluster + "/"; s.auth {
			s.authRev++
		}
	case "allow":
		s.denied = ""
		s.authRev++
	case "proxied", "not proxied":
		s.proxied = step.What == "proxied"
	default:
		panic(step.What)
	}
}

func (s *simStore) back() {
	for _, m := range s.members {
		m.down, m.frozen, m.cut, m.sticks = false, false, false, false
		s.advance(m)
	}
}

func (f *simFollower) heal() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.s.back()
	if f.s.denied != "" {
		f.s.denied = ""
		f.s.authRev++
	}
}

func (f *simFollower) judge(when string) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	for _, path := range simPaths {
		if want, got := below(f.s.states[f.s.head()], path), f.held[path]; !maps.Equal(got, want) {
			f.mistake("%s: %s is %v at %s, want %v at revision %d", when, path, got, f.versions[path], want, f.s.head())
		}
	}
}
