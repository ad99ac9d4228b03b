package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"pc4patroni/backends"
	"pc4patroni/resource"
)

// Waits before a backend is asked again.
const (
	firstRead = 100 * time.Millisecond
	maxRead   = time.Second
)

// Once applies every resource of the set once, and reports on each, and on the
// broken ones, in the order of their file names. For backends that cannot be
// reached it waits up to wait in all. When stop is done no new work begins; a
// running command may finish for as long as kill lasts.
func (e *Engine) Once(stop, kill context.Context, set *resource.Set, wait time.Duration) []ResourceStatus {
	units, resources := e.plan(set, false, nil)
	var reads sync.WaitGroup
	var mu sync.Mutex
	unread := map[string]error{}
	for name, resources := range byBackend(resources) {
		reads.Go(func() {
			if err := e.readOnce(stop, name, resources, wait); err != nil {
				mu.Lock()
				defer mu.Unlock()
				unread[name] = err
			}
		})
	}
	reads.Wait()

	changes := map[*resourceState]urgency{}
	for _, r := range resources {
		if r.keys.areKnown() {
			changes[r] = urgent
		}
	}
	e.queue.put(changes, time.Time{})
	var work sync.WaitGroup
	for _, u := range units {
		u.assign(u.planned)
		work.Go(func() { u.run(stop, kill) })
	}
	work.Wait()

	all := statusOf(resources, set.Broken)
	for i := range all {
		if r := &all[i]; r.State == Waiting && r.Err == nil {
			r.Err = unread[r.Backend]
			if r.Err == nil && stop.Err() != nil {
				r.Err = context.Cause(stop)
			}
		}
	}
	return all
}

// readOnce reads what the resources see of one backend.
func (e *Engine) readOnce(ctx context.Context, name string, resources []*resourceState, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	backend, err := e.options().Open(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	defer backend.Close() // what matters has been read, or has failed
	routes := routesTo(resources)
	updates, err := Load(ctx, backend, slices.Sorted(maps.Keys(routes)), e.options().logger())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	routes.apply(updates)
	return nil
}

// Load reads the paths, and tries again until ctx is done or until that would be
// of no use.
func Load(ctx context.Context, backend backends.Backend, paths []string, log *slog.Logger) ([]backends.Update, error) {
	var again backoff
	var last error
	for {
		updates, err := backend.Load(ctx, paths)
		if err == nil {
			return updates, nil
		}
		// An error that only says that time is up tells less than the one before.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if errors.Is(err, backends.ErrDenied) || !sleep(ctx, again.next(firstRead, maxRead)) {
			return nil, last
		}
		log.Debug("backend not reached, trying again", "err", err)
	}
}
