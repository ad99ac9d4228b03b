package etcd

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

func TestFollowHandsOverEveryChange(t *testing.T) {
	s := etcdtest.Start(t)
	s.Put("/service/batman/leader", "db1")
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	snap := load(t, c, "/service/batman/")
	// Between Load and Follow the world goes on.
	s.Put("/service/batman/leader", "db2")
	s.Put("/service/batman2/leader", "other")
	f := follow(t, c, snap.Version, "/service/batman/")
	s.Put("/service/batman/leader", "db3")
	s.Delete("/service/batman/leader")
	last := s.Txn(clientv3.OpPut("/service/batman/a", "1"), clientv3.OpPut("/service/batman/b", "2"), clientv3.OpPut("/x", ""))
	f.revision(last)
	var got []backends.Change
	for _, b := range f.batches {
		got = append(got, b.Changes...)
	}
	want := []backends.Change{
		{Key: "/service/batman/leader", Value: "db2"},
		{Key: "/service/batman/leader", Value: "db3"},
		{Key: "/service/batman/leader", Deleted: true},
		{Key: "/service/batman/a", Value: "1"},
		{Key: "/service/batman/b", Value: "2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// What comes alone is handed over alone, a whole revision at a time.
	last = s.Txn(clientv3.OpPut("/service/batman/a", "3"), clientv3.OpPut("/x", "1"), clientv3.OpPut("/service/batman/b", "4"))
	f.revision(last)
	wantBatch := backends.Batch{Revision: last, Changes: []backends.Change{
		{Key: "/service/batman/a", Value: "3"},
		{Key: "/service/batman/b", Value: "4"},
	}}
	if diff := cmp.Diff(wantBatch, f.batches[len(f.batches)-1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFollowSaysThatEtcdIsAlive(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}, Silence: 30 * time.Millisecond})
	version := load(t, c, "/").Version
	f := follow(t, c, version, "/")
	f.await("signs of life", func() bool { return f.empty > 5 })
	// They do not get in the way of changes.
	f.revision(s.Put("/a", "1"))
	before := 0
	f.await("a batch", func() bool { before = f.empty; return true })
	f.await("more signs of life", func() bool { return f.empty > before+5 })
	if len(f.batches) != 1 {
		t.Errorf("%d batches with changes, want 1", len(f.batches))
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	f := follow(t, c, load(t, c, "/").Version, "/")
	f.cancel()
	if err := f.wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ended with %v, want %v", err, context.Canceled)
	}
}

// TestFollowEndsWithItsDeadline: the server must not learn of the deadline, or
// it may be the first to act upon it.
func TestFollowEndsWithItsDeadline(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	version := load(t, c, "/").Version
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := c.Follow(ctx, []string{"/"}, version, func(backends.Batch) error { return nil })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Follow ended with %v, want %v", err, context.DeadlineExceeded)
		}
	}
}

func TestFollowReturnsTheErrorOfSink(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	full := errors.New("full")
	err := c.Follow(t.Context(), []string{"/"}, load(t, c, "/").Version, func(backends.Batch) error { return full })
	if err != full {
		t.Errorf("Follow returned %v, want the error of sink as it is", err)
	}
}

func TestFollowIsLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, s *etcdtest.Server, p *etcdtest.Proxy)
		want string
	}{
		{"member restarted", func(t *testing.T, s *etcdtest.Server, _ *etcdtest.Proxy) { s.Restart() }, backends.ReasonConnection},
		{"member stopped", func(t *testing.T, s *etcdtest.Server, _ *etcdtest.Proxy) { s.Stop() }, backends.ReasonConnection},
		{"connection broken", func(t *testing.T, _ *etcdtest.Server, p *etcdtest.Proxy) { p.Break() }, backends.ReasonConnection},
		{"silence", func(t *testing.T, _ *etcdtest.Server, p *etcdtest.Proxy) { p.Freeze() }, backends.ReasonSilence},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := etcdtest.Start(t)
			p := etcdtest.NewProxy(t, s.Addr())
			c := newClient(t, Config{Nodes: []string{p.Addr()}, Silence: 300 * time.Millisecond, DialTimeout: time.Second, RequestTimeout: time.Second})
			f := follow(t, c, load(t, c, "/").Version, "/")
			tt.do(t, s, p)
			if got := f.lost(); got != tt.want {
				t.Errorf("lost for %s, want %s: %v", got, tt.want, f.err)
			}
			// The way back is the same for all: load, follow.
			p.Resume()
			if tt.name == "member stopped" {
				s.Start()
			}
			f = follow(t, c, loadEventually(t, c, "/").Version, "/")
			f.revision(s.Put("/a", "1"))
		})
	}
}

func TestFollowFromCompactedRevision(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	version := load(t, c, "/").Version
	s.Put("/a", "1")
	s.Compact(s.Put("/a", "2"))
	f := startFollow(t, c, version, [][]string{{"/"}})
	if got := f.lost(); got != backends.ReasonCompacted {
		t.Errorf("lost for %s, want %s: %v", got, backends.ReasonCompacted, f.err)
	}
}

func TestFollowNoticesAnotherStore(t *testing.T) {
	for _, tt := range []struct{ name, token string }{
		{"same cluster ID, lower revision", ""},
		{"other cluster ID", "rebuilt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := etcdtest.Start(t)
			for range 5 {
				s.Put("/a", "before")
			}
			c := newClient(t, Config{Nodes: []string{s.URL()}})
			version := load(t, c, "/").Version
			f := follow(t, c, version, "/")
			s.Replace(tt.token)
			// Who was following is cut off at least.
			if got := f.lost(); got != backends.ReasonConnection && got != backends.ReasonReplaced {
				t.Errorf("lost for %s: %v", got, f.err)
			}
			// Who would follow from the old version is told.
			var err error
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
				f = startFollow(t, c, version, [][]string{{"/"}})
				err = f.wait()
				var lost *backends.Lost
				if errors.As(err, &lost) && lost.Reason == backends.ReasonReplaced {
					break
				}
			}
			var lost *backends.Lost
			if !errors.As(err, &lost) || lost.Reason != backends.ReasonReplaced {
				t.Fatalf("Follow from the old version ended with %v, want %s", err, backends.ReasonReplaced)
			}
			snap := load(t, c, "/")
			if snap.Version == version || len(snap.Values) != 0 {
				t.Errorf("loaded %+v from the new store", snap)
			}
			f = follow(t, c, snap.Version, "/")
			f.revision(s.Put("/a", "after"))
		})
	}
}
