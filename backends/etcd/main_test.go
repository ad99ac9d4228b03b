package etcd

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"fmt"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
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

// load returns the keys of all paths together and the version of the first.
func load(t testing.TB, c *Client, paths ...string) (map[string]string, backends.Version) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	updates, err := c.Load(ctx, paths)
	if err != nil {
		t.Fatalf("Load(%q): %v", paths, err)
	}
	keys := map[string]string{}
	for _, u := range updates {
		if u.Denied != nil {
			t.Fatalf("Load(%q): %v", paths, u.Denied)
		}
		maps.Copy(keys, u.Keys)
	}
	return keys, updates[0].Version
}

// loadEventually is Load as its callers use it: again until it works.
func loadEventually(t testing.TB, c *Client, paths ...string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		updates, err := c.Load(ctx, paths)
		if err == nil {
			return updates[0].Keys
		}
		if ctx.Err() != nil {
			t.Fatalf("Load(%q): %v", paths, err)
		}
	}
}

// putMany writes n keys below prefix, with their number as value.
func putMany(t testing.TB, s *etcdtest.Server, prefix string, n int) map[string]string {
	t.Helper()
	values := make(map[string]string, n)
	var ops []clientv3.Op
	for i := range n {
		key := fmt.Sprintf("%s%06d", prefix, i)
		values[key] = fmt.Sprint(i)
		if ops = append(ops, clientv3.OpPut(key, values[key])); len(ops) == 100 || i == n-1 {
			s.Txn(ops...)
			ops = nil
		}
	}
	return values
}

// from makes the paths of a Watch that all start after one version.
func from(after backends.Version, paths ...string) []backends.WatchPath {
	var all []backends.WatchPath
	for _, p := range paths {
		all = append(all, backends.WatchPath{Path: p, After: after})
	}
	return all
}

// watching is a Watch under way, and what a caller makes of its updates.
type watching struct {
	t      testing.TB
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	changed chan struct{}                // closed and replaced at each call of sink
	calls   [][]backends.Update          // those with updates
	alive   int                          // calls without updates
	keys    map[string]map[string]string // by path, as the updates say
	latest  map[string]backends.Version
	denied  map[string]error
	resyncs map[string]int // full states, by reason; "" for the first ones
	changes []backends.Change
	err     error
}

// startWatch starts a Watch.
func startWatch(t testing.TB, c *Client, resync time.Duration, paths ...backends.WatchPath) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{t: t, cancel: cancel, ended: make(chan struct{}), changed: make(chan struct{}),
		keys: map[string]map[string]string{}, latest: map[string]backends.Version{}, denied: map[string]error{}, resyncs: map[string]int{}}
	for _, p := range paths {
		w.latest[p.Path] = p.After
	}
	go func() {
		defer close(w.ended)
		err := c.Watch(ctx, paths, resync, w.sink)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = err
	}()
	t.Cleanup(func() {
		cancel()
		<-w.ended
	})
	return w
}

// watchPaths starts a Watch without resync and waits until it watches everything.
func watchPaths(t testing.TB, c *Client, paths ...backends.WatchPath) *watching {
	t.Helper()
	w := startWatch(t, c, 0, paths...)
	w.ready()
	return w
}

// again starts a Watch as a caller does after one that ended: with the last
// version that it got of each path, until the Watch stands.
func (w *watching) again(c *Client) *watching {
	w.t.Helper()
	w.wait()
	var paths []backends.WatchPath
	for p, v := range w.latest {
		paths = append(paths, backends.WatchPath{Path: p, After: v})
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		next := startWatch(w.t, c, 0, paths...)
		for {
			next.mu.Lock()
			alive, changed := next.alive, next.changed
			next.mu.Unlock()
			if alive > 0 {
				return next
			}
			select {
			case <-changed:
				continue
			case <-next.ended:
			}
			break
		}
		time.Sleep(20 * time.Millisecond) // the backoff of the caller
	}
	w.t.Fatal("no Watch stands again")
	return nil
}

func (w *watching) sink(updates []backends.Update) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(updates) == 0 {
		w.alive++
	} else {
		w.calls = append(w.calls, updates)
	}
	for _, u := range updates {
		w.latest[u.Path] = u.Version
		delete(w.denied, u.Path)
		switch {
		case u.Denied != nil:
			w.denied[u.Path] = u.Denied
		case u.Keys != nil:
			w.resyncs[u.Resync]++
			w.keys[u.Path] = maps.Clone(u.Keys)
		}
		for _, ch := range u.Changes {
			w.changes = append(w.changes, ch)
			if w.keys[u.Path] == nil {
				w.keys[u.Path] = map[string]string{}
			}
			if ch.Deleted {
				delete(w.keys[u.Path], ch.Key)
			} else {
				w.keys[u.Path][ch.Key] = ch.Value
			}
		}
	}
	close(w.changed)
	w.changed = make(chan struct{})
	return nil
}

// await waits until cond, which is called with the lock held.
func (w *watching) await(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		ok, changed := cond(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-w.ended:
			w.mu.Lock()
			ok, err := cond(), w.err
			w.mu.Unlock()
			if !ok {
				w.t.Fatalf("Watch ended while waiting for %s: %v", what, err)
			}
			return
		case <-deadline:
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// ready waits until everything is watched.
func (w *watching) ready() {
	w.t.Helper()
	w.await("the watch to stand", func() bool { return w.alive > 0 })
}

// value waits until key has that value in the state of path.
func (w *watching) value(path, key, value string) {
	w.t.Helper()
	w.await(fmt.Sprintf("%s = %q below %s", key, value, path), func() bool { return w.keys[path][key] == value })
}

// signs waits for n more signs of life.
func (w *watching) signs(n int) {
	w.t.Helper()
	want := -1
	w.await("signs of life", func() bool {
		if want < 0 {
			want = w.alive + n
		}
		return w.alive >= want
	})
}

// wait waits for the end and returns the error.
func (w *watching) wait() error {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.t.Fatal("Watch does not end")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// count returns how many full states came for a reason.
func (w *watching) count(reason string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.resyncs[reason]
}
