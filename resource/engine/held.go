package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"pc4patroni/backends"
)

// heldQuietly is how long a resource may be held without a warning: a switchover
// takes a moment.
const heldQuietly = 2 * time.Second

// heldError is a reason to leave the file as it is until the cluster has what
// the template needs.
type heldError struct{ err error }

func (e *heldError) Error() string { return e.err.Error() }

func (e *heldError) Unwrap() error { return e.err }

func isHeld(err error) bool {
	_, ok := errors.AsType[*heldError](err)
	return ok
}

// ErrNoKeys is wrapped by the error of a resource for which there is no key.
var ErrNoKeys = errors.New("no key at or below")

// requireKeys fails where there is no key at all. A store that had some and has
// been wiped holds the resource; where there has been none since the start the
// prefix is wrong, most likely.
func (r *resourceState) requireKeys() error {
	if r.keys.store.Len() > 0 {
		r.seenKeys = true
		return nil
	}
	if r.AllowEmpty || r.IsStatic() {
		return nil
	}
	err := fmt.Errorf("%w %s: is the prefix right? (for a cluster that may be empty: allow_empty = true)", ErrNoKeys, strings.Join(r.Keys, ", "))
	if r.seenKeys {
		return &heldError{err}
	}
	return err
}

// succeeded records that the file is what it should be, or with Noop what would
// change.
func (r *resourceState) succeeded(installed bool, change *Change) {
	if r.reported != "" {
		attrs := []any{"resource", r.Name, "dest", r.Dest, "after", r.reported}
		if !r.heldSince.IsZero() {
			attrs = append(attrs, "held", time.Since(r.heldSince).Round(time.Millisecond))
		}
		r.unit.log.Info("resource recovered", attrs...)
		r.unit.engine.emit(Event{Kind: Recovered, Resource: r.Name, Backend: r.Backend})
	}
	r.reported, r.heldSince, r.warnAt, r.retryAt = "", time.Time{}, time.Time{}, time.Time{}
	r.retry.reset()
	r.fileErr, r.changed = nil, installed
	if installed {
		r.reloadErr = nil // it was another file's
	}
	r.set(func(s *ResourceStatus) {
		s.Change = change
		if change == nil && !s.ReloadPending {
			s.LastSuccess = time.Now()
		}
	})
}

// failed records why the file could not be made what it should be, and when to
// try again. What lasts is logged once; a command that was run again is worth a
// line each time.
func (r *resourceState) failed(err error, change *Change) {
	now := time.Now()
	r.retryAt = now.Add(r.retry.next(firstRetry, maxRetry))
	if errors.Is(err, backends.ErrDenied) {
		r.retryAt = time.Time{} // the watcher tries again
	}
	r.fileErr = err
	r.set(func(s *ResourceStatus) { s.Change = change })
	again := r.reported == err.Error() && outputOf(err) == ""
	r.reported = err.Error()
	if !again {
		r.unit.engine.emit(Event{Kind: Failing, Resource: r.Name, Backend: r.Backend, Err: err, Held: isHeld(err)})
	}
	attrs := []any{"resource", r.Name, "dest", r.Dest, "err", err}
	if output := outputOf(err); output != "" {
		attrs = append(attrs, "output", output)
	}
	log := r.unit.log
	if !isHeld(err) {
		r.heldSince, r.warnAt = time.Time{}, time.Time{}
		if again {
			log.Debug("resource still failed", attrs...)
		} else {
			log.Error("resource failed, its file stays as it is", attrs...)
		}
		return
	}
	if r.heldSince.IsZero() {
		r.heldSince, r.warnAt = now, now.Add(heldQuietly)
	}
	switch {
	case !r.unit.daemon:
		log.Warn("resource held, its file stays as it is", attrs...)
	case !r.warnAt.IsZero() && !now.Before(r.warnAt):
		r.warnAt = time.Time{}
		log.Warn("resource is held, its file stays as it is", append(attrs, "held", now.Sub(r.heldSince).Round(time.Millisecond))...)
	case again:
		log.Debug("resource still held", attrs...)
	case r.warnAt.IsZero():
		log.Warn("resource is held for another reason, its file stays as it is", attrs...)
	default:
		log.Info("resource held, its file stays as it is", attrs...)
	}
}
