package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"pc4patroni/backends"
)

// A generation is what Run is working on: the units and feeds of one set. It
// belongs to the goroutine of Run; others see it through the engine's lock.
type generation struct {
	set     *Set
	workers []*worker
	feeds   map[string]*feedWorker
	opened  map[string]backends.Backend
}

// worker is a unit and the goroutine that works it.
type worker struct {
	unit *unit
	task
}

type feedWorker struct {
	feed *feed
	task
}

// task is a running goroutine that can be ended and waited for.
type task struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func spawn(ctx context.Context, work func(context.Context)) task {
	ctx, cancel := context.WithCancel(ctx)
	t := task{cancel, make(chan struct{})}
	go func() {
		defer close(t.done)
		defer cancel()
		work(ctx)
	}()
	return t
}

func (t task) end() {
	t.cancel()
	<-t.done
}

// update is a new set for Run, and where to answer.
type update struct {
	set  *Set
	done chan error
}

// Run keeps every file of the set true until stop is done; then no new work
// begins, and commands that run may finish for as long as hard lasts. The
// error is about a backend that cannot be used at all; one that is merely away
// is waited for.
func (e *Engine) Run(stop, hard context.Context, set *Set) error {
	e.reportBroken(set.Broken)
	g, err := e.advance(stop, hard, &generation{set: &Set{}}, set)
	if err != nil {
		return err
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { e.awaitFirstPass(stop, g) })
	defer waiting.Wait()
	for {
		select {
		case <-stop.Done():
			g.end()
			return nil
		case up := <-e.updates:
			next, err := e.advance(stop, hard, g, up.set)
			if err == nil {
				g = next
			}
			up.done <- err
		}
	}
}

// Ready is closed after the first pass over everything, for which every
// backend must have been read.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

func (e *Engine) awaitFirstPass(ctx context.Context, g *generation) {
	for _, w := range slices.Clone(g.workers) {
		select {
		case <-w.unit.passed:
		case <-w.done: // replaced by an update; its successor has to pass
			e.mu.Lock()
			now := e.running
			e.mu.Unlock()
			if ctx.Err() == nil && now != g {
				e.awaitFirstPass(ctx, now)
			}
			return
		case <-ctx.Done():
			return
		}
	}
	close(e.ready)
}

// Update has Run go on with another set: units that did not change are not
// disturbed. A resource that is broken in the new set goes on as it was in the
// old one, if it was there. After an error nothing has changed.
func (e *Engine) Update(ctx context.Context, set *Set) error {
	up := update{set, make(chan error, 1)}
	select {
	case e.updates <- up:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-up.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e *Engine) reportBroken(broken []Broken) {
	for _, b := range broken {
		e.log.Error("resource cannot be used", "resource", b.Name, "err", b.Err)
	}
}

// advance turns the generation g into one that works on set.
func (e *Engine) advance(stop, hard context.Context, g *generation, set *Set) (*generation, error) {
	set = keepBroken(g.set, set)
	units := newUnits(set.Resources, &e.opts, e.commands, e.daemon.Interval)
	opened, err := e.openAll(g.opened, backendKeys(units))
	if err != nil {
		return nil, err
	}
	next := &generation{set: set, feeds: map[string]*feedWorker{}, opened: opened}
	next.workers, units = g.takeUnchanged(units)

	for _, f := range g.feeds {
		f.end()
	}
	var ending sync.WaitGroup
	for _, w := range g.workers {
		ending.Go(w.end)
	}
	ending.Wait()
	for key, backend := range g.opened {
		if opened[key] == nil {
			_ = backend.Close() // nobody uses it any more
		}
	}

	removeAllLeftovers(units, e.log)
	for _, u := range units {
		u.start()
		next.workers = append(next.workers, &worker{u, spawn(stop, func(ctx context.Context) { u.run(ctx, hard) })})
	}
	all := next.units()
	for key, backend := range opened {
		f := &feed{backend: backend, routes: newRoutes(all, key), daemon: e.daemon, log: e.log}
		next.feeds[key] = &feedWorker{f, spawn(stop, f.run)}
	}
	e.mu.Lock()
	e.running = next
	e.mu.Unlock()
	return next, nil
}

// keepBroken returns set with the resources that are broken in it as they are
// in old.
func keepBroken(old, set *Set) *Set {
	kept := &Set{Resources: slices.Clone(set.Resources), Broken: set.Broken}
	for _, b := range set.Broken {
		i := slices.IndexFunc(old.Resources, func(r *Resource) bool { return r.File == b.File })
		if i < 0 || slices.ContainsFunc(kept.Resources, func(r *Resource) bool { return r.Dest == old.Resources[i].Dest }) {
			continue
		}
		kept.Resources = append(kept.Resources, old.Resources[i])
	}
	slices.SortFunc(kept.Resources, func(a, b *Resource) int { return compareFiles(a.File, b.File) })
	return kept
}

// openAll returns a backend for each key: those that are open already, and
// others that it opens. If one cannot be opened, none is.
func (e *Engine) openAll(have map[string]backends.Backend, keys []string) (map[string]backends.Backend, error) {
	opened := map[string]backends.Backend{}
	for _, key := range keys {
		if b := have[key]; b != nil {
			opened[key] = b
			continue
		}
		b, err := e.open(key)
		if err != nil {
			for key, b := range opened {
				if have[key] == nil {
					err = errors.Join(err, b.Close())
				}
			}
			return nil, fmt.Errorf("open backend: %w", err)
		}
		opened[key] = b
	}
	return opened, nil
}

// takeUnchanged moves the workers whose unit is the same as one of units out
// of g; it returns them and the units that are left.
func (g *generation) takeUnchanged(units []*unit) (kept []*worker, left []*unit) {
	for _, u := range units {
		i := slices.IndexFunc(g.workers, func(w *worker) bool { return w.unit.sameAs(u) })
		if i < 0 {
			left = append(left, u)
			continue
		}
		kept = append(kept, g.workers[i])
		g.workers = slices.Delete(g.workers, i, i+1)
	}
	return kept, left
}

// sameAs tells whether both units do the same.
func (u *unit) sameAs(other *unit) bool {
	return u.reloadCmd == other.reloadCmd && slices.EqualFunc(u.resources, other.resources, func(a, b *tracked) bool {
		return a.File == b.File && a.Resource.sameAs(b.Resource)
	})
}

func (g *generation) units() []*unit {
	units := make([]*unit, len(g.workers))
	for i, w := range g.workers {
		units[i] = w.unit
	}
	return units
}

// end stops everything and waits for it.
func (g *generation) end() {
	for _, f := range g.feeds {
		f.end()
	}
	for _, w := range g.workers {
		w.end()
	}
	for _, b := range g.opened {
		_ = b.Close() // nobody uses it any more
	}
}

// Status is how Run is doing.
type Status struct {
	Results  []Result
	Backends map[string]BackendStatus
}

// Status returns how every resource and backend of Run stands.
func (e *Engine) Status() Status {
	e.mu.Lock()
	g := e.running
	e.mu.Unlock()
	status := Status{Backends: map[string]BackendStatus{}}
	if g == nil {
		return status
	}
	status.Results = resultsOf(g.units(), g.set.Broken)
	for key, f := range g.feeds {
		status.Backends[key] = f.feed.snapshot()
	}
	return status
}

// Stuck has every loop of Run take a turn, and returns the names of those that
// have not taken one since the given time, which should lie one call back, and
// are not busy with a command that still has time either.
func (e *Engine) Stuck(since time.Time) []string {
	e.mu.Lock()
	g := e.running
	e.mu.Unlock()
	if g == nil {
		return nil
	}
	var stuck []string
	now := time.Now()
	for _, w := range g.workers {
		if !w.unit.pulse.alive(since, now) {
			stuck = append(stuck, w.unit.resources[0].Name)
		}
		select {
		case w.unit.mailbox.wake <- struct{}{}:
		default:
		}
	}
	for key, f := range g.feeds {
		if !f.feed.pulse.alive(since, now) {
			stuck = append(stuck, "backend "+key)
		}
	}
	return stuck
}
