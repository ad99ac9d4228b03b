package engine

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Waits between attempts after a failure.
const (
	firstRetry = 500 * time.Millisecond
	maxRetry   = 30 * time.Second
)

// reloadError says that the file is in place but its reload failed.
type reloadError struct{ err error }

func (e *reloadError) Error() string { return "reload failed: " + e.err.Error() }

func (e *reloadError) Unwrap() error { return e.err }

func isReloadError(err error) bool {
	_, ok := errors.AsType[*reloadError](err)
	return ok
}

// reloads tells whether the unit runs a reload command at all.
func (u *unit) reloads() bool {
	return u.reloadCmd != "" && !u.engine.options().SyncOnly && !u.engine.options().Noop
}

// reloadPending tells whether a file is in place and its reload is not done.
func (u *unit) reloadPending() bool {
	return slices.ContainsFunc(u.resources, func(r *resourceState) bool { return r.state().ReloadPending })
}

// mayReload tells whether a reload is pending and no file is half written.
func (u *unit) mayReload() bool {
	halfWritten := func(r *resourceState) bool { return r.state().ReloadPending && r.partial }
	return u.reloads() && u.reloadPending() && !slices.ContainsFunc(u.resources, halfWritten)
}

// pendingReloads returns the resources whose reload is pending.
func (u *unit) pendingReloads() []*resourceState {
	var pending []*resourceState
	for _, r := range u.resources {
		if r.state().ReloadPending {
			pending = append(pending, r)
		}
	}
	return pending
}

// reload runs the reload command if a reload is pending and may run now: not
// before every file that the jobs' changes concern is in place, also those of
// other units.
func (u *unit) reload(stop, kill context.Context, jobs []job) {
	now := time.Now()
	if !u.mayReload() || now.Before(u.reloadAt) {
		return
	}
	var timeout, least time.Duration
	for _, r := range u.resources {
		timeout, least = max(timeout, r.ReloadTimeout), max(least, r.MinReloadInterval)
	}
	if at := u.lastReload.Add(least); !u.lastReload.IsZero() && now.Before(at) {
		u.reloadAt = at
		u.log.Debug("reload deferred", "resources", u.names(), "wait", at.Sub(now))
		return
	}
	u.live.wait() // for others, none of which holds an order for long
	for _, j := range jobs {
		if !j.place.awaitAll(stop) {
			return // the markers stay: the next run reloads
		}
	}
	u.engine.workers.do(func() { u.reloadNow(stop, kill, timeout) })
}

// reloadNow runs the reload command and records how it ended.
func (u *unit) reloadNow(stop, kill context.Context, timeout time.Duration) {
	began := time.Now()
	u.occupied.Store(began.Add(patience).UnixNano())
	took, err := u.command(stop, kill, u.reloadCmd, timeout)
	if errors.Is(err, errStopping) {
		return
	}
	u.lastReload = began
	pending := u.pendingReloads()
	latency := time.Duration(0)
	if err == nil && !u.changedAt.IsZero() {
		latency = time.Since(u.changedAt)
	}
	secret := err != nil && slices.ContainsFunc(u.resources, func(r *resourceState) bool { return !r.tellsPublic() })
	for i, r := range pending {
		ev := Event{Kind: Reloaded, Resource: r.Name, Backend: r.Backend, Took: took, Err: err, Output: outputOf(err), Public: !secret}
		if i == 0 {
			ev.Latency = latency
		}
		u.engine.emit(ev)
	}
	if err != nil {
		wait := u.reloadRetry.next(firstRetry, maxRetry)
		u.reloadAt = time.Now().Add(wait)
		attrs := []any{"resources", u.names(), "err", err}
		if output := outputOf(err); output != "" {
			attrs = append(attrs, "output", output)
		}
		if u.daemon {
			attrs = append(attrs, "retry_in", wait.Round(time.Millisecond))
		} else {
			attrs = append(attrs, "retry_in", "the next run")
		}
		u.log.Error("reload failed", attrs...)
		for _, r := range pending {
			r.reloadFailed(&reloadError{err}, u.reloadAt)
		}
		return
	}
	attrs := []any{"resources", u.names(), "took", took}
	if latency > 0 {
		attrs = append(attrs, "after_change", latency)
	}
	u.log.Info("reloaded", attrs...)
	u.reloadRetry.reset()
	u.reloadAt = time.Time{}
	for _, r := range pending {
		r.reloadDone()
	}
}

// names returns the names of the resources whose reload is pending.
func (u *unit) names() []string {
	var names []string
	for _, r := range u.pendingReloads() {
		names = append(names, r.Name)
	}
	return names
}

// reloadFailed records a failed reload.
func (r *resourceState) reloadFailed(err error, next time.Time) {
	r.set(func(s *ResourceStatus) {
		if s.Err == nil || isReloadError(s.Err) {
			s.State, s.Err, s.NextAttempt = Failed, err, next
		}
	})
}

// reloadDone records that the proxy knows the file. What is not known is whether
// the file is what it should be, if the keys have never been read.
func (r *resourceState) reloadDone() {
	if err := r.removeMarker(); err != nil {
		r.unit.log.Warn("the marker of a reload that is done cannot be removed: the next start reloads once more",
			"resource", r.Name, "dest", r.Dest, "err", err)
	}
	r.set(func(s *ResourceStatus) {
		s.ReloadPending = false
		if s.Err != nil && !isReloadError(s.Err) {
			return // the newest version has trouble of its own
		}
		s.State, s.Err, s.NextAttempt = Waiting, nil, time.Time{}
		if r.reconciled {
			s.State, s.LastSuccess = Changed, time.Now()
		}
	})
}
