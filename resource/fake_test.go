package resource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"pc4patroni/backends"
)

var _ backends.Backend = (*fakeBackend)(nil)

// fakeBackend is a store in memory that does what the contract says.
type fakeBackend struct {
	mu       sync.Mutex
	values   map[string]string
	revision int64
	away     error         // what Load and Follow answer, or nil
	changed  chan struct{} // closed and replaced at each change
	batches  []backends.Batch
	loads    int
	denied   string // a path that may not be read, or ""
}

func newFake(values map[string]string) *fakeBackend {
	return &fakeBackend{values: maps.Clone(values), revision: 1, changed: make(chan struct{})}
}

func (f *fakeBackend) Load(ctx context.Context, paths []string) (backends.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads++
	if f.away != nil {
		return backends.Snapshot{}, f.away
	}
	values := map[string]string{}
	for _, path := range paths {
		if f.denied != "" && path == f.denied {
			return backends.Snapshot{}, fmt.Errorf("%s: %w, %w", path, backends.ErrPathDenied, backends.ErrDenied)
		}
		for key, value := range f.values {
			if backends.Covers(path, key) {
				values[key] = value
			}
		}
	}
	return backends.Snapshot{Version: backends.Version{Store: 1, Revision: f.revision}, Values: values}, ctx.Err()
}

func (f *fakeBackend) Follow(ctx context.Context, paths []string, version backends.Version, sink func(backends.Batch) error) error {
	for at := version.Revision; ; {
		f.mu.Lock()
		away, changed := f.away, f.changed
		var news []backends.Batch
		for _, b := range f.batches {
			if b.Revision > at {
				news = append(news, b)
			}
		}
		f.mu.Unlock()
		if away != nil {
			return &backends.Lost{Reason: backends.ReasonConnection, Err: away}
		}
		for _, b := range news {
			at = b.Revision
			if err := sink(b); err != nil {
				return err
			}
		}
		select {
		case <-changed:
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
	b := backends.Batch{Revision: f.revision}
	for i := 0; i < len(pairs); i += 2 {
		f.values[pairs[i]] = pairs[i+1]
		b.Changes = append(b.Changes, backends.Change{Key: pairs[i], Value: pairs[i+1]})
	}
	f.batches = append(f.batches, b)
	f.notify()
}

func (f *fakeBackend) del(keys ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	b := backends.Batch{Revision: f.revision}
	for _, key := range keys {
		delete(f.values, key)
		b.Changes = append(b.Changes, backends.Change{Key: key, Deleted: true})
	}
	f.batches = append(f.batches, b)
	f.notify()
}

var errAway = errors.New("connection refused")

func (f *fakeBackend) setAway(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = err
	f.notify()
}
