package engine

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pc4patroni/resource"
)

// A unit is the resources that share a reload command, in the order of their
// file names. One goroutine works it: the one that calls run. What is guarded by
// mu, and live, may be used by others. A new configuration may assign it other
// resources; a unit without any ends.
type unit struct {
	engine    *Engine
	log       *slog.Logger
	name      string // of the reload command, or of the resource file if there is none
	label     string // the name of its first resource, for people
	reloadCmd string // "" is none
	daemon    bool   // goes on after its first turn

	live  liveness
	wake  chan struct{} // holds one token while there is something to do
	ended chan struct{} // closed when run has ended
	after *unit         // that of the same name, which has to end before this one begins, or nil
	// occupied is when other units stop waiting for this one, because it runs a
	// command that takes its time, or nil.
	occupied atomic.Pointer[time.Time]

	// Of the goroutine.
	resources     []*resourceState
	reloadBackoff backoff
	reloadAt      time.Time // when a pending reload may be tried
	lastReload    time.Time // when the last one started
	reloadAfter   []*order  // those of the changes that a pending reload is about
	reloadBy      time.Time // when it waits for them no longer: others may keep coming
	changedAt     time.Time // when the oldest change came that the proxy does not know
	verifyAt      time.Time // when to compare with the disk, or zero

	planned []*resourceState // what was assigned last; of Run's goroutine

	mu        sync.Mutex
	assigned  [][]*resourceState // by one new configuration after the other
	interrupt context.CancelFunc // ends the turn, or nil
	verify    bool               // compare with the disk at once
	arrived   time.Time          // when the oldest change came that the unit has not seen
}

// resourceState is a resource at run time.
type resourceState struct {
	*resource.Resource
	unit      *unit
	keys      *keys
	inherited bool // the keys are those of the resource before it

	before   *resourceState   // what it was in the configuration before, or nil
	awaits   []*resourceState // those that write the same file, until the unit has begun
	released chan struct{}    // closed when the unit works on it no more
	settled  atomic.Bool      // reconciled once, for others than the unit

	// Guarded by the unit's mu.
	dirty  bool // the keys have changed
	place  *place
	status ResourceStatus // only the goroutine changes it

	progress
	installed []Event // to be emitted after the reload
}

func (e *Engine) newUnit(name string, first *resource.Resource, daemon bool) *unit {
	return &unit{
		engine:    e,
		log:       e.options().logger(),
		name:      name,
		label:     first.Name,
		reloadCmd: first.ReloadCmd,
		daemon:    daemon,
		wake:      make(chan struct{}, 1),
		ended:     make(chan struct{}),
	}
}

func (u *unit) newResource(res *resource.Resource) *resourceState {
	return &resourceState{Resource: res, unit: u, keys: newKeys(res), released: make(chan struct{}), status: ResourceStatus{
		Name: res.Name, File: res.File, Dest: res.Dest, Backend: res.Backend, Declared: res, Since: time.Now(),
	}}
}

// hasCommands tells whether the resource has a check or a reload command.
func (r *resourceState) hasCommands() bool { return r.CheckCmd != "" || r.ReloadCmd != "" }

// isOccupied tells whether other units should not wait for this one.
func (u *unit) isOccupied(now time.Time) bool {
	since := u.occupied.Load()
	return since != nil && !since.After(now)
}

// give marks r dirty: its keys have changed. The place is that of r in the order
// of the change, and arrived is when the change came.
func (u *unit) give(r *resourceState, p *place, arrived time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if isClosed(r.released) {
		p.finish()
		return
	}
	if p == nil {
		p = r.place
	} else {
		p.before = r.place // of a change that this one includes
	}
	r.dirty, r.place = true, p
	u.arrived = earliest(u.arrived, arrived)
}

// wakeUp has the unit take a turn.
func (u *unit) wakeUp() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// verifyNow has the unit compare its files with the disk.
func (u *unit) verifyNow() {
	u.mu.Lock()
	u.verify = true
	u.mu.Unlock()
	u.wakeUp()
}

// run works the unit until stop is done or it has no resources any more.
func (u *unit) run(stop, kill context.Context) {
	defer close(u.ended)
	defer func() { u.release(u.resources) }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		u.live.beat()
		turn, cancel := context.WithCancel(stop)
		u.mu.Lock()
		u.interrupt = cancel
		u.mu.Unlock()
		u.adopt(stop)
		u.turn(turn, kill)
		cancel()
		if stop.Err() != nil || len(u.resources) == 0 || !u.daemon && len(u.reloadAfter) == 0 {
			return
		}
		if next := u.next(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-stop.Done():
		case <-u.wake:
		case <-timer.C:
		}
	}
}

// next returns when there is something to do, or zero.
func (u *unit) next() time.Time {
	next := u.verifyAt
	for _, r := range u.resources {
		next = earliest(next, r.retryAt, r.warnAt)
	}
	if u.mayReload() {
		next = earliest(next, u.reloadAt)
	}
	return next
}

// turn reconciles every resource that there is something to do for, and
// reloads.
func (u *unit) turn(stop, kill context.Context) {
	defer u.occupied.Store(nil)
	installed := false
	for _, j := range u.take(time.Now()) {
		if !u.await(stop, j.place.nearing()) || stop.Err() != nil {
			u.give(j.resourceState, nil, time.Time{}) // for the next turn
		} else {
			aside(func() {
				installed = u.reconcile(stop, kill, j) || installed
			})
		}
		j.place.finish()
	}
	if installed {
		// What is new supersedes the wait after a failure.
		u.reloadAt = time.Time{}
		u.reloadBackoff.reset()
	}
	u.reload(stop, kill)
	if installed {
		aside(u.finishInstalls)
	}
	if len(u.pendingReloads()) == 0 {
		u.changedAt = time.Time{}
	}
	u.settle()
}

// settle tells the engine which resources have been reconciled once. A reload that
// may run is part of it, whether it succeeds or not.
func (u *unit) settle() {
	if u.mayReload() && !slices.ContainsFunc(u.resources, func(r *resourceState) bool { return r.reloadErr != nil }) {
		return
	}
	news := false
	for _, r := range u.resources {
		news = r.reconciled && !r.settled.Swap(true) || news
	}
	if news {
		u.engine.checkReady()
	}
}

// await waits for others, which are watched themselves, and tells whether event
// came before ctx was done. A nil event has come.
func (u *unit) await(ctx context.Context, event <-chan struct{}) bool {
	defer u.live.beat()
	if event == nil {
		return true
	}
	u.live.wait()
	select {
	case <-event:
		return true
	case <-ctx.Done():
		return false
	}
}

// isClosed tells whether the channel, which nobody sends to, has been closed.
func isClosed(event <-chan struct{}) bool {
	select {
	case <-event:
		return true
	default:
		return false
	}
}

// aside runs job on a goroutine of its own, which takes along the room that its
// stack has grown to: a thousand units that wait must not each keep a deep one.
func aside(job func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		job()
	}()
	<-done
}

// verifySlots is how many moments of an interval the comparisons with the disk share:
// a thousand units at once would delay a change, and one by one they wake the
// processor a thousand times.
const verifySlots = 50

// early returns the last multiple of d before t. Unlike Truncate it keeps t's monotonic
// reading: when the wall clock is set back an hour, the comparison is not put off for one.
func early(t time.Time, d time.Duration) time.Time { return t.Add(t.Truncate(d).Sub(t)) }

// job is what there is to do for a resource.
type job struct {
	*resourceState
	place *place
	// again says that what failed may be tried again although nothing changed,
	// and verify that the disk may have changed unseen.
	again, verify bool
}

// take returns what there is to do now, in the order of the resources.
func (u *unit) take(now time.Time) []job {
	u.mu.Lock()
	defer u.mu.Unlock()
	due := !u.verifyAt.IsZero() && !now.Before(u.verifyAt)
	verify := u.verify || due
	if interval := u.engine.options().Interval; u.daemon && interval > 0 {
		switch {
		case due:
			u.verifyAt = early(now.Add(interval), interval/verifySlots)
		case u.verify || u.verifyAt.IsZero():
			u.verifyAt = early(now.Add(interval/2+rand.N(interval/2+1)), interval/verifySlots)
		}
	}
	u.verify = false
	var jobs []job
	for _, r := range u.resources {
		again := !r.retryAt.IsZero() && !now.Before(r.retryAt)
		warn := !r.warnAt.IsZero() && !now.Before(r.warnAt)
		if r.dirty || again || warn || verify && r.reconciled {
			jobs = append(jobs, job{r, r.place, again || verify, verify})
			r.dirty, r.place = false, nil
		}
	}
	u.changedAt = earliest(u.changedAt, u.arrived)
	u.arrived = time.Time{}
	return jobs
}
