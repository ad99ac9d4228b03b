package etcd

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// mirror keeps a copy of the keys as the program does: load, follow, and when
// that ends, again.
type mirror struct {
	t       testing.TB
	mu      sync.Mutex
	values  map[string]string
	loads   int
	errs    []error
	changed chan struct{}
}

func newMirror(t testing.TB, c *Client, paths ...string) *mirror {
	t.Helper()
	m := &mirror{t: t, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			snap, err := c.Load(ctx, paths)
			if err == nil {
				m.update(func() { m.values, m.loads = maps.Clone(snap.Values), m.loads+1 })
				err = c.Follow(ctx, paths, snap.Version, func(b backends.Batch) error {
					m.update(func() {
						for _, ch := range b.Changes {
							if ch.Deleted {
								delete(m.values, ch.Key)
							} else {
								m.values[ch.Key] = ch.Value
							}
						}
					})
					return nil
				})
			}
			m.update(func() { m.errs = append(m.errs, err) })
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return m
}

func (m *mirror) update(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do()
	close(m.changed)
	m.changed = make(chan struct{})
}

// await waits until key has that value.
func (m *mirror) await(key, value string) {
	m.t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		got, changed, errs := m.values[key], m.changed, m.errs
		m.mu.Unlock()
		if got == value {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			m.t.Fatalf("%s = %q, want %q; errors: %v", key, got, value, errs)
		}
	}
}

func TestClusterLosesItsLeader(t *testing.T) {
	cl := etcdtest.StartCluster(t, 3)
	c := newClient(t, Config{Nodes: cl.URLs()})
	m := newMirror(t, c, "/")
	leader := cl.Leader()
	leader.Put("/a", "1")
	m.await("/a", "1")
	leader.Stop()
	cl.Leader().Put("/a", "2")
	m.await("/a", "2")
	leader.Start()
	leader.Put("/a", "3")
	m.await("/a", "3")
}

func TestClusterLosesAMember(t *testing.T) {
	cl := etcdtest.StartCluster(t, 3)
	m := newMirror(t, newClient(t, Config{Nodes: cl.URLs()}), "/")
	cl.Follower().Stop()
	cl.Leader().Put("/a", "1")
	m.await("/a", "1")
}

// TestPartitionedMember: a member that is cut off from the others must not pass
// for the cluster.
func TestPartitionedMember(t *testing.T) {
	for _, role := range []string{"follower", "leader"} {
		t.Run(role, func(t *testing.T) {
			cl := etcdtest.StartCluster(t, 3)
			victim := cl.Follower()
			if role == "leader" {
				victim = cl.Leader()
			}
			alone := newClient(t, Config{Nodes: []string{victim.URL()}, RequestTimeout: 2 * time.Second})
			f := follow(t, alone, load(t, alone, "/").Version, "/")
			m := newMirror(t, newClient(t, Config{Nodes: cl.URLs(), RequestTimeout: 2 * time.Second}), "/")
			victim.Isolate()

			// Who knows this member only loses the watch and cannot read.
			if got := f.lost(); got != backends.ReasonConnection {
				t.Errorf("lost for %s, want %s: %v", got, backends.ReasonConnection, f.err)
			}
			_, err := alone.Load(t.Context(), []string{"/"})
			if err == nil {
				t.Error("a member that is cut off serves reads")
			}
			if errors.Is(err, backends.ErrDenied) {
				t.Errorf("Load: %v wraps ErrDenied", err)
			}
			err = alone.Follow(t.Context(), []string{"/"}, backends.Version{Store: 1}, nil)
			var lost *backends.Lost
			if err == nil || errors.As(err, &lost) {
				t.Errorf("Follow at a member that is cut off: %v", err)
			}

			// Who knows all of them goes on with the others.
			var other *etcdtest.Member
			for _, member := range cl.Members {
				if member != victim {
					other = member
				}
			}
			other.Put("/a", "1")
			m.await("/a", "1")

			victim.Rejoin()
			f = follow(t, alone, loadEventually(t, alone, "/").Version, "/")
			f.revision(other.Put("/a", "2"))
			m.await("/a", "2")
		})
	}
}

// TestFrozenMember: a member that takes connections and answers nothing.
func TestFrozenMember(t *testing.T) {
	cl := etcdtest.StartCluster(t, 3)
	c := newClient(t, Config{Nodes: cl.URLs(), Silence: time.Second, RequestTimeout: time.Second, DialTimeout: time.Second})
	m := newMirror(t, c, "/")
	for i, member := range cl.Members {
		member.Proxy.Freeze()
		value := string(rune('1' + i))
		cl.Leader().Put("/a", value)
		m.await("/a", value)
		member.Proxy.Resume()
	}
}
