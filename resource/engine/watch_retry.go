package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"pc4patroni/backends"
)

// Waits before a backend is asked again, with full jitter: the hosts of a fleet
// lose their etcd at the same moment.
const (
	firstReconnect = 500 * time.Millisecond
	// A leader may change while etcd is away, so the max is how much longer
	// than needed a proxy points to the wrong server.
	maxReconnect = 2 * time.Second
	// maxDenied is the max where the backend does not let us in.
	maxDenied = 5 * time.Second
	// steady is how long a backend must have been followed for a loss to count
	// as the first again.
	steady = 2 * time.Second
	// watchSilence is how long a backend that has answered may be silent before
	// it is asked anew: longer than any may be.
	watchSilence = 2 * backends.Silence
	// firstAnswer is the same until it has answered: each of several nodes may
	// hang for as long as request-timeout says.
	firstAnswer = 5 * time.Minute
)

// Why a watch is ended that has not failed.
var (
	errRerouted = errors.New("there are other paths to watch")
	errSilent   = errors.New("no answer for too long")
)

// routes are the resources that see a path, by path.
type routes map[string][]*resourceState

func routesTo(resources []*resourceState) routes {
	to := routes{}
	for _, r := range resources {
		for _, path := range r.Paths {
			to[path] = append(to[path], r)
		}
	}
	return to
}

// apply puts updates into the keys of the resources that see them, and returns
// those that have changed.
func (to routes) apply(updates []backends.Update) map[*resourceState]urgency {
	changed := map[*resourceState]urgency{}
	for i := range updates {
		for _, r := range to[updates[i].Path] {
			if u := max(changed[r], r.keys.apply(&updates[i])); u > nothing {
				changed[r] = u
			}
		}
	}
	return changed
}

// unknown tells whether a resource that sees path does not know its keys.
func (to routes) unknown(path string) bool {
	return slices.ContainsFunc(to[path], func(r *resourceState) bool { return !r.keys.has(path) })
}

// A watcher follows one backend and puts its updates into the keys of the
// resources that see them. One goroutine runs it; the rest may be called by
// others.
type watcher struct {
	name    string
	backend backends.Backend
	queue   *queue
	emit    func(Event)
	log     *slog.Logger
	live    liveness
	cancel  context.CancelFunc // ends run
	silence *time.Timer        // ends a watch that nothing is heard of; of whoever may call sink

	mu       sync.Mutex
	routes   routes
	versions map[string]backends.Version // by path
	resync   time.Duration
	poll     bool
	again    context.CancelCauseFunc // starts watching again, or nil
	status   BackendStatus
}

// route has the watcher deliver to these resources from now on. What is known of
// a path stays known; a new path starts another watch, which takes up the others
// where they were.
func (w *watcher) route(resources []*resourceState, resync time.Duration, poll bool) {
	routes := routesTo(resources)
	w.mu.Lock()
	defer w.mu.Unlock()
	same := w.resync == resync && w.poll == poll && len(routes) == len(w.routes)
	for path := range routes {
		same = same && w.routes[path] != nil && !routes.unknown(path)
	}
	w.routes, w.resync, w.poll = routes, resync, poll
	if !same && w.again != nil {
		w.again(errRerouted)
	}
}

// run works the watcher until ctx is done.
func (w *watcher) run(ctx context.Context) {
	var retry backoff
	for {
		began := time.Now()
		paths, resync, poll, turn := w.begin(ctx)
		w.live.busy(firstAnswer)
		var err error
		if poll {
			err = w.load(turn, paths, resync)
		} else {
			err = w.backend.Watch(turn, paths, resync, w.sink)
		}
		w.silence.Stop()
		if ctx.Err() != nil {
			return
		}
		switch context.Cause(turn) {
		case errRerouted:
			continue
		case errSilent:
			err = errSilent
		}
		w.down(err)
		if time.Since(began) > steady {
			retry.reset()
		}
		limit := maxReconnect
		if errors.Is(err, backends.ErrDenied) {
			limit = maxDenied
		}
		w.live.busy(limit)
		sleep(turn, retry.spread(firstReconnect, limit))
		if ctx.Err() != nil {
			return
		}
	}
}

// begin returns what to watch, and after which versions. The context ends when
// that changes, or when the backend has been silent for too long.
func (w *watcher) begin(ctx context.Context) (paths []backends.WatchPath, resync time.Duration, poll bool, turn context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.again != nil {
		w.again(nil)
	}
	turn, again := context.WithCancelCause(ctx)
	w.again, w.silence = again, time.AfterFunc(firstAnswer, func() { again(errSilent) })
	for path := range w.routes {
		after := w.versions[path]
		if w.routes.unknown(path) {
			after = ""
		}
		paths = append(paths, backends.WatchPath{Path: path, After: after})
	}
	slices.SortFunc(paths, func(a, b backends.WatchPath) int { return compare(a.Path, b.Path) })
	return paths, w.resync, w.poll, turn
}

// expect ends the turn unless the backend is heard from within d.
func (w *watcher) expect(d time.Duration) {
	w.live.busy(d)
	w.silence.Reset(d)
}

// load reads all paths at each interval; it takes the place of a watch where that
// is switched off.
func (w *watcher) load(ctx context.Context, paths []backends.WatchPath, interval time.Duration) error {
	var names []string
	for _, p := range paths {
		names = append(names, p.Path)
	}
	for first := true; ; first = false {
		w.expect(firstAnswer)
		updates, err := w.backend.Load(ctx, names)
		if err != nil {
			return err
		}
		for i := range updates {
			if !first {
				updates[i].Resync = backends.ResyncInterval
			}
		}
		if err := w.sink(updates); err != nil {
			return err
		}
		if err := w.sink(nil); err != nil {
			return err
		}
		w.expect(interval + watchSilence)
		if !sleep(ctx, interval) {
			return ctx.Err()
		}
	}
}

// sink receives what the backend delivers.
func (w *watcher) sink(updates []backends.Update) error {
	now := time.Now()
	w.expect(watchSilence)
	received, reason := 0, ""
	w.mu.Lock()
	w.status.LastHeard = now
	for i := range updates {
		up := &updates[i]
		received += len(up.Changes)
		w.versions[up.Path] = up.Version
		if up.Denied != nil {
			delete(w.versions, up.Path)
		} else {
			w.status.Version = up.Version
		}
		if up.Resync != "" {
			reason = up.Resync
			w.emit(Event{Kind: Resynced, Backend: w.name, Reason: up.Resync})
		}
	}
	changes := w.routes.apply(updates)
	w.mu.Unlock()
	if received > 0 {
		w.emit(Event{Kind: Received, Backend: w.name, Count: received})
	}
	if reason != "" && reason != backends.ResyncInterval {
		w.log.Info("backend read again in full", "reason", reason)
	}
	if received > 0 || len(updates) == 0 {
		w.up(now)
	}
	w.queue.put(changes, now)
	return nil
}

// up records that the backend can be read, and logs it if it could not before.
func (w *watcher) up(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.status
	if was.Connected {
		return
	}
	w.status.Connected, w.status.Err, w.status.Since = true, nil, now
	if was.Err != nil {
		w.log.Info("backend is back", "away", now.Sub(was.Since).Round(time.Millisecond))
	} else {
		w.log.Info("backend read")
	}
	w.emit(Event{Kind: BackendUp, Backend: w.name})
}

// down records that the backend cannot be read, and logs it once.
func (w *watcher) down(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.status.Connected && w.status.Err != nil {
		w.log.Debug("backend still cannot be read", "err", err)
		w.status.Err = err
		return
	}
	w.status.Connected, w.status.Err, w.status.Since = false, err, time.Now()
	w.log.Warn("backend cannot be read, files stay as they are until it can", "err", err)
	w.emit(Event{Kind: BackendDown, Backend: w.name, Err: err})
}

func (w *watcher) snapshot() BackendStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}
