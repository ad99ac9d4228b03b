package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pc4patroni/backends"
)

var _ backends.Backend = (*fakeBackend)(nil)

// fakeBackend is a store in memory that does what the contract says.
type fakeBackend struct {
	mu       sync.Mutex
	values   map[string]string
	revision int
	away     error         // what Load and Watch answer, or nil
	changed  chan struct{} // closed and replaced at each change
	history  []revision
	reads    []string // every path that was read in full
	watches  int
	denied   []string // paths that may not be read
	epoch    int      // of the store: another one begins with another revision
	floor    int      // the oldest revision whose successors are still known
	breaks   int      // how often watches were broken
}

type revision struct {
	number  int
	changes []backends.Change
}

func newFake(values map[string]string) *fakeBackend {
	f := &fakeBackend{values: maps.Clone(values), revision: 1, changed: make(chan struct{})}
	if f.values == nil {
		f.values = map[string]string{}
	}
	return f
}

func (f *fakeBackend) version() backends.Version {
	return f.versionOf(f.revision)
}

func (f *fakeBackend) versionOf(revision int) backends.Version {
	return backends.Version(fmt.Sprintf("%d.%d", f.epoch, revision))
}

// resumable returns the revision of a version, if its successors are known.
func (f *fakeBackend) resumable(v backends.Version) (revision int, ok bool) {
	epoch := 0
	n, _ := fmt.Sscanf(string(v), "%d.%d", &epoch, &revision)
	return revision, n == 2 && epoch == f.epoch && revision >= f.floor && revision <= f.revision
}

// read returns the full state of path. The caller holds the lock.
func (f *fakeBackend) read(path, resync string) backends.Update {
	f.reads = append(f.reads, path)
	if slices.Contains(f.denied, path) {
		return backends.Update{Path: path, Denied: fmt.Errorf("%s: %w", path, backends.ErrDenied)}
	}
	values := map[string]string{}
	for key, value := range f.values {
		if backends.Covers(path, key) {
			values[key] = value
		}
	}
	return backends.Update{Path: path, Version: f.version(), Keys: values, Resync: resync}
}

func (f *fakeBackend) Load(ctx context.Context, paths []string) ([]backends.Update, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != nil {
		return nil, f.away
	}
	var updates []backends.Update
	for _, path := range paths {
		updates = append(updates, f.read(path, ""))
	}
	return updates, ctx.Err()
}

func (f *fakeBackend) Watch(ctx context.Context, paths []backends.WatchPath, resync time.Duration, sink func([]backends.Update) error) error {
	ticker := time.NewTicker(resync)
	defer ticker.Stop()
	f.mu.Lock()
	f.watches++
	if f.away != nil {
		defer f.mu.Unlock()
		return f.away
	}
	at, epoch, breaks := f.revision, f.epoch, f.breaks
	var updates []backends.Update
	since := map[string]int{} // what was read in full is not followed by what is older
	for _, p := range paths {
		since[p.Path] = f.revision
		if after, ok := f.resumable(p.After); ok {
			at, since[p.Path] = min(at, after), after
		} else if p.After != "" {
			updates = append(updates, f.read(p.Path, backends.ResyncCompacted))
		} else {
			updates = append(updates, f.read(p.Path, ""))
		}
	}
	f.mu.Unlock()
	if len(updates) > 0 {
		if err := sink(updates); err != nil {
			return err
		}
	}
	for first := true; ; first = false {
		f.mu.Lock()
		away, changed := f.away, f.changed
		if f.epoch != epoch || f.breaks != breaks {
			away = errBroken
		}
		updates = nil
		for _, rev := range f.history {
			if rev.number <= at {
				continue
			}
			at = rev.number
			for _, p := range paths {
				up := backends.Update{Path: p.Path, Version: f.versionOf(rev.number)}
				for _, c := range rev.changes {
					if rev.number > since[p.Path] && backends.Covers(p.Path, c.Key) && !slices.Contains(f.denied, p.Path) {
						up.Changes = append(up.Changes, c)
					}
				}
				if up.Changes != nil {
					updates = append(updates, up)
				}
			}
		}
		f.mu.Unlock()
		if away != nil {
			return away
		}
		if len(updates) > 0 || first {
			if err := sink(updates); err != nil {
				return err
			}
		}
		if first {
			if err := sink(nil); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ticker.C:
			f.mu.Lock()
			updates = nil
			for _, p := range paths {
				updates = append(updates, f.read(p.Path, backends.ResyncInterval))
			}
			at = f.revision
			f.mu.Unlock()
			if err := sink(updates); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fakeBackend) Close() error { return nil }

func (f *fakeBackend) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// put sets keys (pairs of key and value) at one revision.
func (f *fakeBackend) put(pairs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	rev := revision{number: f.revision}
	for i := 0; i < len(pairs); i += 2 {
		f.values[pairs[i]] = pairs[i+1]
		rev.changes = append(rev.changes, backends.Change{Key: pairs[i], Value: pairs[i+1]})
	}
	f.history = append(f.history, rev)
	f.notify()
}

func (f *fakeBackend) del(keys ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	rev := revision{number: f.revision}
	for _, key := range keys {
		delete(f.values, key)
		rev.changes = append(rev.changes, backends.Change{Key: key, Deleted: true})
	}
	f.history = append(f.history, rev)
	f.notify()
}

var (
	errAway   = errors.New("connection refused")
	errBroken = errors.New("the stream broke")
)

func (f *fakeBackend) setAway(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = err
	f.notify()
}

func (f *fakeBackend) deny(paths ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied = paths
}

// readsSoFar returns how many paths were read in full.
func (f *fakeBackend) readsSoFar(t *testing.T) int {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.reads)
}
