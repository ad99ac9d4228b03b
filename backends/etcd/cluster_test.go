package etcd

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// mirror keeps a copy of the keys as the program does: it watches, and when
// that ends, it watches on from the version that it has.
type mirror struct {
	t       testing.TB
	mu      sync.Mutex
	keys    map[string]string
	version backends.Version
	full    int // full states
	errs    []error
	changed chan struct{}
}

func newMirror(t testing.TB, c *Client, path string) *mirror {
	t.Helper()
	m := &mirror{t: t, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			err := c.Watch(ctx, from(m.version, path), 0, func(updates []backends.Update) error {
				m.mu.Lock()
				defer m.mu.Unlock()
				for _, u := range updates {
					m.version = u.Version
					if u.Keys != nil {
						m.keys, m.full = u.Keys, m.full+1
					}
					for _, ch := range u.Changes {
						m.keys[ch.Key] = ch.Value
					}
				}
				close(m.changed)
				m.changed = make(chan struct{})
				return nil
			})
			m.mu.Lock()
			m.errs = append(m.errs, err)
			m.mu.Unlock()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
		if m.full != 1 {
			t.Errorf("%d full states, want the first one only; errors: %v", m.full, m.errs)
		}
	})
	m.await("ready", "")
	return m
}

// await waits until key has that value.
func (m *mirror) await(key, value string) {
	m.t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		got, first, changed, errs := m.keys[key], m.full > 0, m.changed, m.errs
		m.mu.Unlock()
		if got == value && first {
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
			w := watchPaths(t, alone, from("", "/")...)
			m := newMirror(t, newClient(t, Config{Nodes: cl.URLs(), RequestTimeout: 2 * time.Second}), "/")
			victim.Isolate()

			// Who knows this member only loses the watch and cannot read.
			if err := w.wait(); !strings.Contains(err.Error(), "watch etcd: ") && !strings.Contains(err.Error(), "ask etcd: ") {
				t.Errorf("Watch ended with %v", err)
			}
			_, err := alone.Load(t.Context(), []string{"/"})
			if err == nil {
				t.Error("a member that is cut off serves reads")
			}
			if errors.Is(err, backends.ErrDenied) {
				t.Errorf("Load: %v wraps ErrDenied", err)
			}
			if err := alone.Watch(t.Context(), from("", "/"), 0, nil); err == nil {
				t.Error("a member that is cut off is watched")
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
			other.Put("/a", "2")
			w = w.again(alone)
			w.value("/", "/a", "2")
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
