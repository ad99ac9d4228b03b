package resource

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"pc4patroni/backends"
	"pc4patroni/funcs"
	"pc4patroni/funcs/patroni"
)

// relaxed is how long a change that only moves positions in the write-ahead
// log may wait for others of its kind.
const relaxed = time.Second

// Waits between attempts after a failure.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// A unit is the resources that share a reload command, in the order of their
// file names. One goroutine works it at a time: the one that calls start,
// collect and pass, or run, which does so in a loop. The mailbox, the
// questions and snapshot may be used by others.
type unit struct {
	opts      *Options
	commands  *commands
	renderers *renderers
	log       *slog.Logger
	interval  time.Duration // between comparisons with the disk; zero is never
	reloadCmd string        // "" is none
	resources []*tracked
	mailbox   *mailbox
	pulse     pulse
	questions chan chan<- []heldKeys // for the keys; answered where the unit waits
	history   *history               // of the engine, or nil

	reloadRetry backoff
	reloadAt    time.Time // when an owed reload may be tried
	lastReload  time.Time // when the last one started
	changedAt   time.Time // when the oldest change came that the proxy does not know
	dirs        map[string]bool

	passedOnce sync.Once
	passed     chan struct{} // closed after a pass over all resources with their keys

	mu sync.Mutex // guards the results of resources
}

// newUnits groups resources by their reload command.
func newUnits(resources []*Resource, opts *Options, c *commands, rs *renderers, interval time.Duration) []*unit {
	var units []*unit
	byCommand := map[string]*unit{}
	for _, res := range resources {
		u := byCommand[res.ReloadCmd]
		if u == nil || res.ReloadCmd == "" {
			u = &unit{
				opts:      opts,
				commands:  c,
				renderers: rs,
				log:       opts.logger(),
				interval:  interval,
				reloadCmd: res.ReloadCmd,
				mailbox:   newMailbox(),
				questions: make(chan chan<- []heldKeys),
				dirs:      map[string]bool{},
				passed:    make(chan struct{}),
			}
			byCommand[res.ReloadCmd] = u
			units = append(units, u)
		}
		r := &tracked{Resource: res, store: funcs.NewStore(), target: res.Dest, record: &record{}}
		r.result = Result{Name: res.Name, File: res.File, Dest: res.Dest}
		u.resources = append(u.resources, r)
	}
	return units
}

// start finds out what an earlier run left to do.
func (u *unit) start() {
	for _, r := range u.resources {
		if target, err := resolve(r.Dest, r.root); err == nil {
			r.target = target
		}
		if u.reloads() && hasMark(r.target) {
			r.owed, r.partial = true, isPartial(r.target)
			u.log.Info("a reload is owed since an earlier run", "resource", r.Name, "dest", r.Dest)
		}
	}
}

// stays tells whether the unit goes on working after its first pass.
func (u *unit) stays() bool { return u.interval > 0 }

// reloads tells whether the unit runs a reload command at all.
func (u *unit) reloads() bool { return u.reloadCmd != "" && !u.opts.SyncOnly }

// run works the unit until stop is done. Commands that run then may finish
// for as long as hard lasts.
func (u *unit) run(stop, hard context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	// A reload that an earlier run left owed does not wait for keys: the
	// backend may be away for long.
	u.reload(stop, hard, time.Now())
	for {
		u.pulse.beat()
		now := time.Now()
		if next := u.due(); next.IsZero() {
			timer.Stop()
		} else if wait := next.Sub(now); wait > 0 {
			timer.Reset(wait)
		} else {
			u.pass(stop, hard, now)
			if stop.Err() != nil {
				return
			}
			u.collect(now)
			continue
		}
		select {
		case <-stop.Done():
			return
		case <-u.mailbox.wake:
		case reply := <-u.questions:
			reply <- u.answer()
		case <-timer.C:
		}
		u.collect(time.Now())
	}
}

// due returns when the next pass is due, or zero for never.
func (u *unit) due() time.Time {
	var first time.Time
	for _, r := range u.resources {
		if r.loaded && r.denied == nil {
			first = earliest(first, r.due())
		}
	}
	if u.owesReload() && !u.halfWritten() {
		first = earliest(first, u.reloadAt)
	}
	return first
}

func (u *unit) owesReload() bool {
	return slices.ContainsFunc(u.resources, func(r *tracked) bool { return r.owed })
}

// halfWritten tells whether a file may be half written, so that no reload may run.
func (u *unit) halfWritten() bool {
	return slices.ContainsFunc(u.resources, func(r *tracked) bool { return r.owed && r.partial })
}

// collect moves what came in from the mailbox into the stores.
func (u *unit) collect(now time.Time) {
	for r, d := range u.mailbox.take() {
		if d.denied != nil {
			u.deny(r, d.denied)
			continue
		}
		if d.full {
			u.replace(r, d, now)
			continue
		}
		for _, c := range d.changes {
			u.change(r, c, d.at, now)
		}
	}
}

// deny records that the backend does not let us read the keys of r. Its file
// stays as it is; the others go on.
func (u *unit) deny(r *tracked, err error) {
	if r.denied == nil || r.denied.Error() != err.Error() {
		u.log.Error("resource failed, its file stays as it is", "resource", r.Name, "dest", r.Dest, "err", err)
	}
	r.denied = err
	u.update(r, func(res *Result) { res.State, res.Err, res.Change = Failed, err, nil })
	u.settle()
}

// settle notes that every resource has been passed over, or is denied.
func (u *unit) settle() {
	waits := func(r *tracked) bool { return r.denied == nil && (!r.loaded || !r.staleAt.IsZero()) }
	if !slices.ContainsFunc(u.resources, waits) {
		u.passedOnce.Do(func() { close(u.passed) })
	}
}

// replace gives r all its keys anew. A full read that finds what is held, as
// the one of each interval should, costs no rendering.
func (u *unit) replace(r *tracked, d *delta, now time.Time) {
	d.compact()
	values := make(map[string]string, len(d.changes))
	for _, c := range d.changes {
		values[r.relative(c.Key)] = c.Value
	}
	if r.denied != nil {
		u.log.Info("resource may be read again", "resource", r.Name, "dest", r.Dest)
		r.denied = nil
	} else if r.loaded && r.holds(values) {
		return
	}
	r.store.Replace(maps.All(values))
	r.loaded = true
	u.touch(r, now, d.at)
}

// holds tells whether the store has exactly these keys and values.
func (r *tracked) holds(values map[string]string) bool {
	if r.store.Len() != len(values) {
		return false
	}
	for key, value := range values {
		if have, ok := r.store.Get(key); !ok || have != value {
			return false
		}
	}
	return true
}

// change applies one event. Deleting or adding a key, and everything that
// tells more than a position in the log, has to be acted upon at once.
func (u *unit) change(r *tracked, c backends.Change, at, now time.Time) {
	key := r.relative(c.Key)
	if c.Deleted {
		r.store.Del(key)
		u.touch(r, now, at)
		return
	}
	before, had := r.store.Get(key)
	r.store.Set(key, c.Value)
	if had && patroni.OnlyPositionsMoved(c.Key, before, c.Value) {
		r.staleAt = earliest(r.staleAt, now.Add(relaxed))
		return
	}
	u.touch(r, now, at)
}

// touch has r rendered at once.
func (u *unit) touch(r *tracked, now, at time.Time) {
	r.staleAt = now
	u.changedAt = earliest(u.changedAt, at)
}

// pass applies every resource that something is due for, and with it those
// whose keys changed, so that one reload serves all; then it reloads.
func (u *unit) pass(stop, hard context.Context, now time.Time) {
	installed := false
	for _, r := range u.resources {
		due := r.due()
		if !r.loaded || r.denied != nil || r.staleAt.IsZero() && (due.IsZero() || due.After(now)) {
			continue
		}
		if stop.Err() != nil {
			return
		}
		if u.apply(stop, hard, r, now) {
			installed = true
		}
	}
	if installed {
		// What is new supersedes the wait after a failure.
		u.reloadAt = now
		u.reloadRetry.reset()
	}
	u.reload(stop, hard, now)
	u.syncDirs()
	u.makeDiffs()
	if !u.owesReload() {
		u.changedAt = time.Time{}
	}
	u.settle()
}

// reload runs the reload command if one is owed and may run now. A file that
// may be half written is put right first.
func (u *unit) reload(stop, hard context.Context, now time.Time) {
	if u.opts.Noop || !u.owesReload() || u.halfWritten() || now.Before(u.reloadAt) || stop.Err() != nil {
		return
	}
	timeout, least := u.reloadLimits()
	if at := u.lastReload.Add(least); !u.lastReload.IsZero() && now.Before(at) {
		u.reloadAt = at
		u.log.Debug("reload deferred", "cmd", u.reloadCmd, "wait", at.Sub(now))
		return
	}
	before := u.lastReload
	u.lastReload = time.Now()
	took, err := u.command(stop, hard, u.reloadCmd, timeout)
	if errors.Is(err, errStopping) {
		u.lastReload = before
		return // the marks stay: the next run reloads
	}
	for _, r := range u.resources {
		if r.owed {
			r.record.reloaded(took, err)
		}
	}
	if err != nil {
		wait := u.reloadRetry.next(firstRetry, lastRetry)
		u.reloadAt = time.Now().Add(wait)
		attrs := []any{"resources", u.owedNames(), "cmd", u.reloadCmd, "err", err, "output", outputOf(err), "took", took}
		if u.stays() {
			attrs = append(attrs, "retry_in", wait.Round(time.Millisecond))
		} else {
			attrs = append(attrs, "retry_in", "the next run")
		}
		u.log.Error("reload failed", attrs...)
		u.finishReload(&reloadError{err})
		return
	}
	attrs := []any{"resources", u.owedNames(), "cmd", u.reloadCmd, "took", took}
	if !u.changedAt.IsZero() {
		after := time.Since(u.changedAt)
		attrs = append(attrs, "after_change", after)
		u.history.took(after)
	}
	u.log.Info("reloaded", attrs...)
	u.reloadRetry.reset()
	u.reloadAt = time.Time{}
	u.finishReload(nil)
}

// reloadLimits returns the longest timeout and the longest least interval of
// the unit's resources.
func (u *unit) reloadLimits() (timeout, least time.Duration) {
	for _, r := range u.resources {
		timeout, least = max(timeout, r.ReloadTimeout), max(least, r.MinReloadInterval)
	}
	return timeout, least
}

func (u *unit) owedNames() []string {
	var names []string
	for _, r := range u.resources {
		if r.owed {
			names = append(names, r.Name)
		}
	}
	return names
}

// finishReload records the outcome of a reload in the resources that owed it.
func (u *unit) finishReload(err error) {
	for _, r := range u.resources {
		if !r.owed {
			continue
		}
		if err == nil {
			r.owed = false
			if err := removeMark(r.target); err != nil {
				u.log.Warn("the mark of a reload that is done cannot be removed: the next start will reload once more",
					"resource", r.Name, "dest", r.Dest, "err", err)
			}
			if r.failure == nil {
				r.record.succeeded(time.Now())
			}
		}
		u.update(r, func(res *Result) {
			res.ReloadOwed = r.owed
			switch {
			case err != nil && res.Err == nil:
				res.State, res.Err = Failed, err
			case err == nil && (res.Err == nil || isReloadError(res.Err)):
				res.State, res.Err = Changed, nil
			}
		})
	}
}

// syncDirs makes renames survive a power cut, after the reload so that it
// does not wait for the disk.
func (u *unit) syncDirs() {
	for dir := range u.dirs {
		if err := syncDir(dir); err != nil {
			u.log.Warn("directory not synced: a power cut now could bring the old file back", "dest", dir, "err", err)
		}
		delete(u.dirs, dir)
	}
}

func (u *unit) update(r *tracked, change func(*Result)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&r.result)
}

// snapshot returns how the unit's resources stand.
func (u *unit) snapshot() []Result {
	u.mu.Lock()
	defer u.mu.Unlock()
	results := make([]Result, len(u.resources))
	for i, r := range u.resources {
		results[i] = r.result
	}
	return results
}

func (u *unit) willSync(target string) { u.dirs[filepath.Dir(target)] = true }
