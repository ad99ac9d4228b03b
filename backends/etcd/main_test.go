package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pc4patroni/backends"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should take no time, on a machine that is busy.
const patience = 60 * time.Second

// newClient makes a client that is closed when the test ends.
func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func load(t testing.TB, c *Client, paths ...string) backends.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	snap, err := c.Load(ctx, paths)
	if err != nil {
		t.Fatalf("Load(%q): %v", paths, err)
	}
	return snap
}

// loadEventually is Load as its callers use it: again until it works.
func loadEventually(t testing.TB, c *Client, paths ...string) backends.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		snap, err := c.Load(ctx, paths)
		if err == nil {
			return snap
		}
		if ctx.Err() != nil {
			t.Fatalf("Load(%q): %v", paths, err)
		}
	}
}

// following is a Follow under way.
type following struct {
	t      testing.TB
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each batch
	batches []backends.Batch
	empty   int
	err     error
}

// follow starts a Follow and waits until it is established.
func follow(t testing.TB, c *Client, version backends.Version, paths ...string) *following {
	t.Helper()
	return followGroups(t, c, version, [][]string{paths})
}

func followGroups(t testing.TB, c *Client, version backends.Version, groups [][]string) *following {
	t.Helper()
	f := startFollow(t, c, version, groups)
	f.await("the first batch", func() bool { return f.empty > 0 })
	return f
}

func startFollow(t testing.TB, c *Client, version backends.Version, groups [][]string) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &following{t: t, cancel: cancel, ended: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(f.ended)
		err := c.FollowGroups(ctx, groups, version, f.sink)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.err = err
	}()
	t.Cleanup(func() {
		cancel()
		<-f.ended
	})
	return f
}

func (f *following) sink(b backends.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(b.Changes) == 0 {
		f.empty++
	} else {
		f.batches = append(f.batches, b)
	}
	close(f.changed)
	f.changed = make(chan struct{})
	return nil
}

// await waits until cond, which is called with the lock held.
func (f *following) await(what string, cond func() bool) {
	f.t.Helper()
	deadline := time.After(patience)
	for {
		f.mu.Lock()
		ok, changed := cond(), f.changed
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-f.ended:
			f.mu.Lock()
			ok, err := cond(), f.err
			f.mu.Unlock()
			if !ok {
				f.t.Fatalf("Follow ended while waiting for %s: %v", what, err)
			}
		case <-deadline:
			f.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// revision waits until changes up to that revision have been handed over.
func (f *following) revision(rev int64) {
	f.t.Helper()
	f.await(fmt.Sprintf("revision %d", rev), func() bool {
		return len(f.batches) > 0 && f.batches[len(f.batches)-1].Revision >= rev
	})
}

// until returns a channel that is closed when changes up to that revision have
// been handed over.
func (f *following) until(rev int64) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		for {
			f.mu.Lock()
			ok, changed := len(f.batches) > 0 && f.batches[len(f.batches)-1].Revision >= rev, f.changed
			f.mu.Unlock()
			if ok {
				close(done)
				return
			}
			select {
			case <-changed:
			case <-f.ended:
				return
			}
		}
	}()
	return done
}

// wait waits for the end and returns the error.
func (f *following) wait() error {
	f.t.Helper()
	select {
	case <-f.ended:
	case <-time.After(patience):
		f.t.Fatal("Follow does not end")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// lost waits for the end and returns the reason of the *Lost.
func (f *following) lost() string {
	f.t.Helper()
	err := f.wait()
	var lost *backends.Lost
	if !errors.As(err, &lost) {
		f.t.Fatalf("Follow ended with %v, want a *Lost", err)
	}
	return lost.Reason
}
