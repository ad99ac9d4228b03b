package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// reloads tells whether the unit runs a reload command at all.
func (u *unit) reloads() bool {
	return u.reloadCmd != "" && !u.engine.options().SyncOnly && !u.engine.options().Noop
}

// mayReload tells whether a reload is pending and no file is half written.
func (u *unit) mayReload() bool {
	pending := u.pendingReloads()
	return u.reloads() && len(pending) > 0 && !slices.ContainsFunc(pending, func(r *resourceState) bool { return r.partial })
}

// pendingReloads returns the resources whose file is in place and whose reload is
// not done.
func (u *unit) pendingReloads() []*resourceState {
	var pending []*resourceState
	for _, r := range u.resources {
		if r.status.ReloadPending {
			pending = append(pending, r)
		}
	}
	return pending
}

// reload runs the reload command if a reload is pending and may run now: not
// before every file that the same changes concern is in place, also those of
// other units.
func (u *unit) reload(stop, kill context.Context) {
	now := time.Now()
	if !u.mayReload() {
		u.reloadAfter = nil
		return
	}
	if now.Before(u.reloadAt) {
		return
	}
	var timeout, least time.Duration
	for _, r := range u.resources {
		timeout, least = max(timeout, r.ReloadTimeout), max(least, r.MinReloadInterval)
	}
	if at := u.lastReload.Add(least); !u.lastReload.IsZero() && now.Before(at) {
		u.reloadAt = at
		u.log.Debug("reload deferred", "resources", namesOf(u.pendingReloads()), "wait", at.Sub(now))
		return
	}
	u.live.wait() // for others, none of which holds an order for long
	for _, o := range u.reloadAfter {
		if now.After(u.reloadBy) {
			break
		}
		select {
		case <-o.all:
		case <-u.wake: // others may be waiting for a file of this unit
			u.wakeUp()
			return
		case <-stop.Done():
			return // the markers stay: the next turn, or the next run, reloads
		}
	}
	u.reloadAfter = nil
	aside(func() { u.reloadNow(stop, kill, timeout) })
}

// reloadNow runs the reload command and records how it ended. A file that is missing
// when the command starts keeps its pending reload: the proxy cannot have read it.
func (u *unit) reloadNow(stop, kill context.Context, timeout time.Duration) {
	began := time.Now()
	var pending, missing []*resourceState
	for _, r := range u.pendingReloads() {
		if r.hasFile() {
			pending = append(pending, r)
		} else {
			missing = append(missing, r)
			r.reloadErr = errors.New("the reload waits for the file, which is missing")
			r.set(func(*ResourceStatus) {})
		}
	}
	if len(pending) == 0 {
		u.reloadAt = time.Now().Add(u.reloadBackoff.next(firstRetry, maxRetry))
		return
	}
	waitUntil := began.Add(patience)
	u.occupied.Store(&waitUntil)
	took, err := u.command(stop, kill, u.reloadCmd, timeout)
	if errors.Is(err, errStopping) {
		return
	}
	u.lastReload = began
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
		wait := u.reloadBackoff.next(firstRetry, maxRetry)
		u.reloadAt = time.Now().Add(wait)
		attrs := []any{"resources", namesOf(pending), "cmd", FirstLine(u.reloadCmd), "err", err}
		if output := outputOf(err); output != "" {
			attrs = append(attrs, "output", output)
		}
		if u.daemon {
			attrs = append(attrs, "retry_in", wait.Round(time.Millisecond))
		} else {
			attrs = append(attrs, "retry", "at the next run")
		}
		u.log.Error("reload failed", attrs...)
		for _, r := range pending {
			r.reloadErr = fmt.Errorf("reload failed: %w", err)
			r.set(func(*ResourceStatus) {})
		}
		return
	}
	attrs := []any{"resources", namesOf(pending), "took", took}
	if latency > 0 {
		attrs = append(attrs, "after_change", latency)
	}
	u.log.Info("reloaded", attrs...)
	u.reloadBackoff.reset()
	u.reloadAt = time.Time{}
	for _, r := range pending {
		r.reloadDone()
	}
	if len(missing) > 0 {
		u.reloadAt = time.Now().Add(u.reloadBackoff.next(firstRetry, maxRetry))
	}
}

func namesOf(resources []*resourceState) []string {
	var names []string
	for _, r := range resources {
		names = append(names, r.Name)
	}
	return names
}

// reloadDone records that the proxy knows the file. What is not known is whether
// the file is what it should be, if the keys have never been read.
func (r *resourceState) reloadDone() {
	if err := r.removeMarker(); err != nil {
		r.unit.log.Warn("cannot remove the marker of a finished reload: the next start reloads once more",
			"resource", r.Name, "dest", r.Dest, "err", err)
	}
	r.reloadErr, r.changed = nil, true
	r.set(func(s *ResourceStatus) {
		s.ReloadPending = false
		if r.fileErr == nil && r.reconciled {
			s.LastSuccess = time.Now()
		}
	})
}
