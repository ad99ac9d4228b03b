package resource

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"pc4patroni/backends"
)

// Waits before a backend is asked again.
const (
	firstReconnect = 50 * time.Millisecond
	// A leader may change while etcd is away, so the cap is how much longer
	// than needed a proxy points to the wrong server.
	lastReconnect = 2 * time.Second
	// steady is how long following must have gone well for a loss to count as
	// the first again. It bounds how often a connection that breaks again and
	// again has everything read anew.
	steady = 2 * time.Second
	// feedSilence is how long a feed may go without a sign of life: longer
	// than any backend may be silent, and than any read may take.
	feedSilence = time.Minute
)

// A feed reads one backend, follows it, and delivers what it says to the
// units. However following ends, the feed reads everything again and follows
// from there. One goroutine runs it; status may be asked by others.
type feed struct {
	backend backends.Backend
	routes  *routes
	daemon  Daemon
	log     *slog.Logger
	pulse   pulse

	mu     sync.Mutex
	status BackendStatus
}

// BackendStatus is how a backend stands.
type BackendStatus struct {
	// Connected says that the keys are up to date as far as can be known.
	Connected bool
	// Err says why not; nil before the first attempt.
	Err error
	// Since is when that began.
	Since time.Time
	// Revision is the newest that was heard of.
	Revision int64
	// Resyncs counts the full reads after the first one, by reason: one of the
	// Reason constants of package backends, or "interval".
	Resyncs map[string]int
	// Events counts the changes that were received.
	Events int
}

// run works the feed until ctx is done.
func (f *feed) run(ctx context.Context) {
	var again backoff
	for {
		f.pulse.busy(feedSilence)
		permitted, version, err := deliverPermitted(ctx, f.backend, f.routes)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.down(err)
			if !sleep(ctx, again.next(firstReconnect, lastReconnect)) {
				return
			}
			continue
		}
		f.up(version.Revision)
		began := time.Now()
		reason, err := f.follow(ctx, permitted, version)
		if ctx.Err() != nil {
			return
		}
		f.count(reason)
		if err == nil {
			again.reset()
			continue
		}
		if time.Since(began) > steady {
			again.reset()
		}
		f.log.Warn("changes can no longer be followed, reading everything again", "reason", reason, "err", err)
		if !sleep(ctx, again.next(firstReconnect, lastReconnect)) {
			return
		}
	}
}

// reasonInterval is the reason of a full read that nothing but the interval
// called for.
const reasonInterval = "interval"

// follow delivers changes until it is time for a full read, which is no error,
// or until something may be missing.
func (f *feed) follow(ctx context.Context, rs *routes, version backends.Version) (reason string, err error) {
	if !f.daemon.Watch {
		f.pulse.busy(f.daemon.Interval + feedSilence)
		sleep(ctx, f.daemon.Interval)
		return reasonInterval, nil
	}
	reconcile, cancel := context.WithTimeout(ctx, f.daemon.Interval)
	defer cancel()
	sink := func(b backends.Batch) error {
		rs.deliver(b.Changes, time.Now())
		f.pulse.busy(feedSilence)
		f.heard(b)
		return nil
	}
	if apart, ok := f.backend.(backends.GroupFollower); ok {
		err = apart.FollowGroups(reconcile, rs.groups(), version, sink)
	} else {
		err = f.backend.Follow(reconcile, rs.paths(), version, sink)
	}
	if reconcile.Err() != nil {
		return reasonInterval, nil
	}
	if lost, ok := errors.AsType[*backends.Lost](err); ok {
		return lost.Reason, lost.Err
	}
	return backends.ReasonOther, err
}

func (f *feed) heard(b backends.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Events += len(b.Changes)
	f.status.Revision = max(f.status.Revision, b.Revision)
}

func (f *feed) count(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.status.Resyncs == nil {
		f.status.Resyncs = map[string]int{}
	}
	f.status.Resyncs[reason]++
}

// up records that the backend was read, and says so if it had been away.
func (f *feed) up(revision int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.status
	f.status.Revision = revision
	if was.Connected {
		return
	}
	f.status.Connected, f.status.Err, f.status.Since = true, nil, time.Now()
	if was.Err != nil {
		f.log.Info("backend is back", "away", time.Since(was.Since).Round(time.Millisecond), "revision", revision)
	} else {
		f.log.Info("backend read", "revision", revision)
	}
}

// down records that the backend cannot be read, and says so once.
func (f *feed) down(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.status.Connected || f.status.Err == nil {
		f.status.Connected, f.status.Since = false, time.Now()
		f.log.Error("backend cannot be read, files stay as they are until it can", "err", err)
	} else {
		f.log.Debug("backend still cannot be read", "err", err)
	}
	f.status.Err = err
}

func (f *feed) snapshot() BackendStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	status := f.status
	status.Resyncs = map[string]int{}
	for reason, n := range f.status.Resyncs {
		status.Resyncs[reason] = n
	}
	return status
}
