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
// file names. One goroutine works it: the one that calls run, or once. What is
// guarded by mu, and live, may be used by others.
type unit struct {
	engine    *Engine
	log       *slog.Logger
	reloadCmd string // "" is none
	resources []*resourceState
	daemon    bool // goes on after its first pass

	live  liveness
	wake  chan struct{}      // holds one token while there is something to do
	stop  context.CancelFunc // ends run
	ended chan struct{}      // closed when run has ended
	// replaces are the units whose files or reload command this one takes over.
	// It waits until they have ended.
	replaces []*unit
	// occupied is when other units stop waiting for this one, because it runs a
	// command that takes its time: nanoseconds since 1970, or zero.
	occupied atomic.Int64
	settled  atomic.Bool // every resource has been reconciled, or could not be read

	// Of the goroutine.
	reloadRetry backoff
	reloadAt    time.Time // when a pending reload may be tried
	lastReload  time.Time // when the last one started
	changedAt   time.Time // when the oldest change came that the proxy does not know
	verifyAt    time.Time // when to compare with the disk, or zero

	mu      sync.Mutex
	gone    bool      // run has ended: nobody takes what is given
	verify  bool      // compare with the disk at once
	arrived time.Time // when the oldest change came that the unit has not seen
	status  []ResourceStatus
}

// resourceState is a resource at run time.
type resourceState struct {
	*resource.Resource
	unit  *unit
	index int // in the unit
	keys  *keys
	// Of one that comes with a new configuration, until it has begun: whose keys
	// it takes over, and what it replaces.
	heirOf   *keys
	replaces *resourceState

	// Guarded by the unit's mu.
	dirty bool // the keys have changed
	place *place

	progress
	installed []Event // to be emitted after the reload
}

// newUnits groups resources by their reload command.
func (e *Engine) newUnits(resources []*resource.Resource, daemon bool) []*unit {
	var units []*unit
	byCommand := map[string]*unit{}
	for _, res := range resources {
		u := byCommand[res.ReloadCmd]
		if u == nil || res.ReloadCmd == "" {
			u = &unit{
				engine:    e,
				log:       e.options().logger(),
				reloadCmd: res.ReloadCmd,
				daemon:    daemon,
				wake:      make(chan struct{}, 1),
				ended:     make(chan struct{}),
			}
			byCommand[res.ReloadCmd] = u
			units = append(units, u)
		}
		r := &resourceState{Resource: res, unit: u, index: len(u.resources), keys: newKeys(res)}
		u.resources = append(u.resources, r)
		u.status = append(u.status, ResourceStatus{
			Name: res.Name, File: res.File, Dest: res.Dest, Backend: res.Backend, Declared: res, Since: time.Now(),
		})
	}
	return units
}

// hasCommands tells whether the resource has a check or a reload command.
func (r *resourceState) hasCommands() bool { return r.CheckCmd != "" || r.ReloadCmd != "" }

// state returns the resource's status. Only the unit's goroutine may call it
// without the lock, because nobody else changes it.
func (r *resourceState) state() *ResourceStatus { return &r.unit.status[r.index] }

// set changes the resource's status.
func (r *resourceState) set(change func(*ResourceStatus)) {
	u := r.unit
	u.mu.Lock()
	defer u.mu.Unlock()
	s := r.state()
	before := s.State
	change(s)
	if s.State != before {
		s.Since = time.Now()
	}
}

// snapshot returns the status of the unit's resources.
func (u *unit) snapshot() []ResourceStatus {
	u.mu.Lock()
	all := slices.Clone(u.status)
	u.mu.Unlock()
	syncOnly := u.engine.options().SyncOnly
	for i, r := range u.resources {
		all[i].Checks, all[i].Reloads = r.CheckCmd != "" && !syncOnly, r.ReloadCmd != "" && !syncOnly
	}
	return all
}

// isOccupied tells whether other units should not wait for this one.
func (u *unit) isOccupied(now time.Time) bool {
	since := u.occupied.Load()
	return since != 0 && since <= now.UnixNano()
}

// give says that the keys of r have changed. The place is that of r in the
// order of the change, and arrived when the change came.
func (u *unit) give(r *resourceState, p *place, arrived time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone {
		p.finish()
		return
	}
	r.place.finish() // that of a change before, which this one includes
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
	verify := u.verify || !u.verifyAt.IsZero() && !now.Before(u.verifyAt)
	u.verify = false
	if interval := u.engine.options().Interval; verify && u.daemon {
		u.verifyAt = now.Add(interval)
	} else if u.daemon && u.verifyAt.IsZero() && interval > 0 {
		// The files of many units are not compared in the same moment.
		u.verifyAt = now.Add(interval/2 + rand.N(interval/2+1))
	}
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

// run works the unit until stop is done.
func (u *unit) run(stop, kill context.Context) {
	defer close(u.ended)
	defer u.finish()
	u.live.wait()
	for _, old := range u.replaces {
		<-old.ended // its command ends in time, or when it has to
	}
	u.live.beat()
	u.engine.workers.do(u.takeOver)
	u.replaces = nil
	u.occupied.Store(0)

	// A reload that an earlier run left pending does not wait for keys: the
	// backend may be away for long.
	u.reload(stop, kill, nil)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for stop.Err() == nil {
		u.live.beat()
		u.work(stop, kill)
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

// once works the unit a single time.
func (u *unit) once(stop, kill context.Context) {
	defer close(u.ended)
	defer u.finish()
	u.engine.workers.do(u.takeOver)
	u.work(stop, kill)
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

// work reconciles every resource that there is something to do for, and
// reloads.
func (u *unit) work(stop, kill context.Context) {
	jobs := u.take(time.Now())
	defer u.occupied.Store(0)
	installed := false
	for i, j := range jobs {
		u.live.wait() // for others, none of which holds an order for long
		near := j.place.awaitNear(stop)
		u.live.beat()
		if !near || stop.Err() != nil {
			for _, left := range jobs[i:] {
				left.place.finish()
			}
			return
		}
		u.engine.workers.do(func() {
			if u.reconcile(stop, kill, j) {
				installed = true
			}
		})
		j.place.finish()
	}
	if installed {
		// What is new supersedes the wait after a failure.
		u.reloadAt = time.Time{}
		u.reloadRetry.reset()
	}
	u.reload(stop, kill, jobs)
	if installed {
		u.engine.workers.do(u.finishInstalls)
	}
	if !u.reloadPending() {
		u.changedAt = time.Time{}
	}
	if !u.settled.Load() && !slices.ContainsFunc(u.resources, func(r *resourceState) bool { return !r.reconciled }) {
		u.settled.Store(true)
		u.engine.checkReady()
	}
}

// finish gives back what others wait for.
func (u *unit) finish() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gone = true
	for _, r := range u.resources {
		r.place.finish()
		r.place = nil
	}
}
