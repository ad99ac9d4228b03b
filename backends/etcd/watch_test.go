package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

const batman = "/service/batman/"

func TestWatchDeliversStateAndEveryChange(t *testing.T) {
	s := etcdtest.Start(t)
	s.Put(batman+"leader", "db1")
	s.Put("/service/batman2/leader", "other")
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	w := watchPaths(t, c, from("", batman)...)
	if diff := cmp.Diff(map[string]string{batman + "leader": "db1"}, w.keys[batman]); diff != "" {
		t.Errorf("the first state: -want +got:\n%s", diff)
	}
	s.Put(batman+"leader", "db2")
	s.Put("/service/batman2/leader", "other")
	s.Delete(batman + "leader")
	last := s.Txn(clientv3.OpPut(batman+"a", "1"), clientv3.OpPut(batman+"b", "2"), clientv3.OpPut("/x", ""))
	w.value(batman, batman+"b", "2")
	want := []backends.Change{
		{Key: batman + "leader", Value: "db2"},
		{Key: batman + "leader", Deleted: true},
		{Key: batman + "a", Value: "1"},
		{Key: batman + "b", Value: "2"},
	}
	if diff := cmp.Diff(want, w.changes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// What etcd made as one comes as one.
	wantCall := []backends.Update{{Path: batman, Version: w.latest[batman], Changes: want[2:]}}
	if diff := cmp.Diff(wantCall, w.calls[len(w.calls)-1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, rev := parseVersion(w.latest[batman]); rev != last {
		t.Errorf("the version is %s, want revision %d", w.latest[batman], last)
	}
}

// TestWatchResumes: what happened while nobody watched comes first, and nothing
// is read again.
func TestWatchResumes(t *testing.T) {
	s := etcdtest.Start(t)
	s.Put(batman+"leader", "db1")
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	_, after := load(t, c, batman)
	s.Put(batman+"leader", "db2")
	s.Put(batman+"leader", "db3")
	w := watchPaths(t, c, from(after, batman)...)
	w.value(batman, batman+"leader", "db3")
	if len(w.changes) != 2 || len(w.resyncs) != 0 {
		t.Errorf("changes %v, full states %v, want the two changes only", w.changes, w.resyncs)
	}
}

// TestWatchOverlappingPaths: each path gets what it covers.
func TestWatchOverlappingPaths(t *testing.T) {
	s := etcdtest.Start(t)
	s.Put(batman+"leader", "db1")
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	_, after := load(t, c, batman)
	s.Put(batman+"config", "{}")
	// One path is new, the others are resumed.
	paths := append(from(after, batman, "/service/", batman+"leader", batman), from("", batman+"config")...)
	w := watchPaths(t, c, paths...)
	w.value(batman+"config", batman+"config", "{}")
	w.value(batman, batman+"config", "{}")
	if n := w.count(""); n != 1 || len(w.resyncs) != 1 {
		t.Errorf("full states: %v, want one, of the path that is new", w.resyncs)
	}
	s.Put(batman+"leader", "db2")
	for _, p := range []string{batman, "/service/", batman + "leader"} {
		w.value(p, batman+"leader", "db2")
	}
}

func TestWatchSaysThatEtcdIsAlive(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}, Silence: 30 * time.Millisecond})
	w := watchPaths(t, c, from("", "/")...)
	w.signs(5)
	s.Put("/a", "1")
	w.value("/", "/a", "1")
	w.signs(5)
	if len(w.changes) != 1 || w.count("") != 1 || len(w.resyncs) != 1 {
		t.Errorf("signs of life brought %d changes and the states %v", len(w.changes), w.resyncs)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	w := watchPaths(t, c, from("", "/")...)
	w.cancel()
	if err := w.wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v, want %v", err, context.Canceled)
	}
	// The server must not learn of a deadline, or it may be the first to act.
	_, after := load(t, c, "/")
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := c.Watch(ctx, from(after, "/"), 0, func([]backends.Update) error { return nil })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Watch ended with %v, want %v", err, context.DeadlineExceeded)
		}
	}
	full := errors.New("full")
	if err := c.Watch(t.Context(), from("", "/"), 0, func([]backends.Update) error { return full }); err != full {
		t.Errorf("Watch returned %v, want the error of sink as it is", err)
	}
}

// TestWatchEndsAndResumes: whatever breaks the connection, the way back is the
// same: no full read, no change lost.
func TestWatchEndsAndResumes(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*etcdtest.Server, *etcdtest.Proxy)
		want string
	}{
		{"member restarted", func(s *etcdtest.Server, _ *etcdtest.Proxy) { s.Restart() }, "watch etcd: "},
		{"member stopped", func(s *etcdtest.Server, _ *etcdtest.Proxy) { s.Stop() }, "watch etcd: "},
		{"connection broken", func(_ *etcdtest.Server, p *etcdtest.Proxy) { p.Break() }, "watch etcd: "},
		{"half-open connection", func(_ *etcdtest.Server, p *etcdtest.Proxy) { p.Freeze() }, "nothing heard for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := etcdtest.Start(t)
			p := etcdtest.NewProxy(t, s.Addr())
			c := newClient(t, Config{Nodes: []string{p.Addr()}, Silence: 600 * time.Millisecond, DialTimeout: time.Second, RequestTimeout: time.Second})
			s.Put("/a", "0")
			w := watchPaths(t, c, from("", "/")...)
			tt.do(s, p)
			if err := w.wait(); !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Watch ended with %v, want ...%s...", err, tt.want)
			}
			if tt.name == "half-open connection" {
				p.Break() // as gRPC's keepalive does after 13 s
			}
			p.Resume()
			if tt.name == "member stopped" {
				s.Start()
			}
			s.Put("/a", "1")
			w = w.again(c)
			w.value("/", "/a", "1")
			if len(w.resyncs) != 0 {
				t.Errorf("full states: %v, want none", w.resyncs)
			}
		})
	}
}

func TestWatchFromCompactedRevision(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	s.Put("/a/x", "0")
	_, after := load(t, c, "/")
	s.Put("/a/x", "1")
	s.Compact(s.Put("/a/x", "2"))
	_, now := load(t, c, "/")
	w := watchPaths(t, c, append(from(after, "/a/"), from(now, "/b/")...)...)
	w.value("/a/", "/a/x", "2")
	if w.count(backends.ResyncCompacted) != 1 || len(w.calls) != 1 {
		t.Errorf("got %+v, want one full state for %q", w.calls, backends.ResyncCompacted)
	}
	s.Put("/a/x", "3")
	s.Put("/b/x", "3")
	w.value("/a/", "/a/x", "3")
	w.value("/b/", "/b/x", "3")
}

func TestWatchNoticesAnotherStore(t *testing.T) {
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
			w := watchPaths(t, c, from("", "/")...)
			s.Replace(tt.token)
			w = w.again(c)
			if w.count(backends.ResyncReplaced) != 1 || len(w.keys["/"]) != 0 {
				t.Errorf("full states %v, keys %v, want the empty state of the new store", w.resyncs, w.keys)
			}
			s.Put("/a", "after")
			w.value("/", "/a", "after")
		})
	}
}

// TestChangeWaitsForNobody: 500 clusters send heartbeats, everything is read
// over and over, and a change of one is delivered at once and by itself.
func TestChangeWaitsForNobody(t *testing.T) {
	const clusters = 500
	s := etcdtest.Start(t)
	var paths []string
	for i := range clusters {
		paths = append(paths, fmt.Sprintf("/service/c%03d/", i))
	}
	for i := 0; i < clusters; i += 100 {
		var ops []clientv3.Op
		for _, p := range paths[i : i+100] {
			ops = append(ops, clientv3.OpPut(p+"leader", "0"))
		}
		s.Txn(ops...)
	}
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	key := paths[7] + "leader"
	type arrival struct {
		value string
		at    time.Time
	}
	arrived := make(chan arrival, 1000)
	standing := make(chan bool, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	resyncs := 0
	go func() {
		ended <- c.Watch(ctx, from("", paths...), 50*time.Millisecond, func(updates []backends.Update) error {
			if len(updates) == 0 {
				select {
				case standing <- true:
				default:
				}
			}
			for _, u := range updates {
				if u.Resync == backends.ResyncInterval {
					resyncs++
				}
				if value, ok := u.Keys[key]; ok {
					arrived <- arrival{value, time.Now()} // a full read may be the first to bring it
				}
				for _, ch := range u.Changes {
					if ch.Key == key {
						if len(updates) != 1 {
							t.Errorf("the change came with %d other updates", len(updates)-1)
						}
						arrived <- arrival{ch.Value, time.Now()}
					}
				}
			}
			return nil
		})
	}()
	<-standing
	// Heartbeats of all, in pairs of keys that make two events of one revision.
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		for i := 0; ctx.Err() == nil; i++ {
			p := paths[i%clusters]
			s.Client().Txn(ctx).Then(clientv3.OpPut(p+"members/db1", fmt.Sprint(i)), clientv3.OpPut(paths[(i+250)%clusters]+"status", fmt.Sprint(i))).Commit()
		}
	}()
	var took []time.Duration
	for i := range 200 {
		time.Sleep(5 * time.Millisecond) // the pace, so that reads come in between
		value, started := fmt.Sprint(i+1), time.Now()
		s.Put(key, value)
		for deadline := time.After(patience); ; {
			var a arrival
			select {
			case a = <-arrived:
			case <-deadline:
				t.Fatalf("the change to %s does not arrive", value)
			}
			if a.value == value {
				took = append(took, a.at.Sub(started))
				break
			}
		}
	}
	cancel()
	<-beating
	<-ended
	slices.Sort(took)
	t.Logf("p50 %v, p99 %v, slowest %v, %d full states meanwhile", took[len(took)/2], took[len(took)*99/100], took[len(took)-1], resyncs)
	if slowest := took[len(took)-1]; slowest > time.Second {
		t.Errorf("the slowest change took %v", slowest)
	}
	if resyncs == 0 {
		t.Error("nothing was read meanwhile")
	}
}

func TestCloseEndsCallsUnderWay(t *testing.T) {
	s := etcdtest.Start(t)
	proxy := etcdtest.NewProxy(t, s.Addr())
	c, err := New(Config{Nodes: []string{proxy.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	w := watchPaths(t, c, from("", "/")...)
	proxy.Freeze()
	ended := make(chan error)
	go func() {
		_, err := c.Load(t.Context(), []string{"/"})
		ended <- err
	}()
	c.Close()
	if err := <-ended; !errors.Is(err, errClosed) {
		t.Errorf("Load ended with %v, want %v", err, errClosed)
	}
	if err := w.wait(); !errors.Is(err, errClosed) {
		t.Errorf("Watch ended with %v, want %v", err, errClosed)
	}
	if _, err := c.Load(t.Context(), []string{"/"}); !errors.Is(err, errClosed) {
		t.Errorf("Load after Close: %v, want %v", err, errClosed)
	}
	if err := c.Watch(t.Context(), from("", "/"), 0, nil); !errors.Is(err, errClosed) {
		t.Errorf("Watch after Close: %v, want %v", err, errClosed)
	}
}
