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
// does not change once Run has published it under the engine's lock.
type generation struct {
	set     *Set
	opts    Options
	daemon  Daemon
	workers []*worker
	feeds   map[string]*feedWorker
	opened  map[string]backends.Backend
	// replaced is closed once another generation is published.
	replaced chan struct{}
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

func (t task) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// update is what Run is to go on with, and where to answer.
type update struct {
	opts   Options
	daemon Daemon
	set    *Set
	done   chan error
}

// Run keeps every file of the set true until stop is done; then no new work
// begins, and commands that run may finish for as long as hard lasts. The
// error is about a backend that cannot be used at all; one that is merely away
// is waited for.
func (e *Engine) Run(stop, hard context.Context, set *Set) error {
	defer e.renderers.rest()
	e.pulse.beat()
	none := &generation{set: &Set{}, replaced: make(chan struct{})}
	g, err := e.advance(stop, hard, none, update{opts: e.opts, daemon: e.daemon, set: set})
	if err != nil {
		return err
	}
	var waiting sync.WaitGroup
	first := g // g moves on
	waiting.Go(func() { e.awaitFirstPass(stop, first) })
	defer waiting.Wait()
	for {
		e.pulse.beat()
		select {
		case <-stop.Done():
			e.pulse.busy(longestCommand(g.workers))
			g.end()
			return nil
		case <-e.wake:
		case up := <-e.updates:
			next, err := e.advance(stop, hard, g, up)
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
	for _, w := range g.workers {
		select {
		case <-w.unit.passed:
		case <-g.replaced:
			e.mu.Lock()
			now := e.running
			e.mu.Unlock()
			e.awaitFirstPass(ctx, now)
			return
		case <-ctx.Done():
			return
		}
	}
	close(e.ready)
}

// Update has Run go on with another set, and with the options that it was
// loaded with: units that do not change by that are not disturbed. A resource
// that is broken in the new set goes on as it was in the old one, if it was
// there; each of them is logged. After an error nothing has changed. The
// environment of commands and the logger stay those of NewEngine.
func (e *Engine) Update(ctx context.Context, opts Options, daemon Daemon, set *Set) error {
	up := update{opts, daemon, set, make(chan error, 1)}
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

// advance turns the generation g into one that works on up.
func (e *Engine) advance(stop, hard context.Context, g *generation, up update) (*generation, error) {
	next := &generation{
		opts:     up.opts,
		daemon:   up.daemon,
		feeds:    map[string]*feedWorker{},
		replaced: make(chan struct{}),
	}
	next.set = keepBroken(g.set, up.set)
	units := newUnits(next.set.Resources, &next.opts, e.commands, e.renderers, next.daemon.Interval)
	opened, err := e.openAll(g.opened, backendKeys(units))
	if err != nil {
		return nil, err
	}
	next.opened = opened
	e.reportBroken(next.set)
	e.history.attach(units)

	// What goes is waited for first. A command of it may take its time, and
	// the feeds serve the units that stay meanwhile.
	kept, units := g.takeUnchanged(units)
	e.pulse.busy(longestCommand(g.workers))
	var ending sync.WaitGroup
	for _, w := range g.workers {
		if !slices.Contains(kept, w) {
			ending.Go(w.end)
		}
	}
	ending.Wait()
	e.pulse.beat()

	for _, w := range g.workers {
		if !slices.Contains(kept, w) {
			e.handOn(w.unit, units)
		}
	}
	removeAllLeftovers(units, e.log)
	next.workers = kept
	for _, u := range units {
		u.start()
		next.workers = append(next.workers, &worker{u, spawn(stop, func(ctx context.Context) { u.run(ctx, hard) })})
	}
	e.advanceFeeds(stop, g, next)
	e.mu.Lock()
	e.running = next
	e.mu.Unlock()
	close(g.replaced)
	return next, nil
}

// advanceFeeds starts the feeds of next, takes over those of g that lead to
// the same units, and ends the others.
// handOn gives a reload that an ended unit owed for a file that is nobody's any
// more to the unit that has the same reload command now. A file that is still
// somebody's has its mark, and a command that is gone tells nobody anything.
func (e *Engine) handOn(ended *unit, units []*unit) {
	var heir *tracked
	for _, u := range units {
		if u.reloadCmd == ended.reloadCmd && u.reloads() {
			heir = u.resources[0]
		}
	}
	for _, r := range ended.resources {
		stays := slices.ContainsFunc(units, func(u *unit) bool {
			return slices.ContainsFunc(u.resources, func(n *tracked) bool { return n.Dest == r.Dest })
		})
		if !r.owed || stays || heir == nil {
			continue
		}
		target, err := resolve(heir.Dest, heir.root)
		if err == nil && !hasMark(target) {
			err = setMark(target, false)
		}
		if err == nil {
			err = removeMark(r.target)
		}
		if err != nil {
			e.log.Error("a reload that is owed cannot be handed on", "resource", r.Name, "dest", r.Dest, "err", err)
		}
	}
}

func (e *Engine) advanceFeeds(stop context.Context, g, next *generation) {
	all := next.units()
	for key, backend := range next.opened {
		f := &feed{backend: backend, routes: newRoutes(all, key), daemon: next.daemon, log: e.log.With("backend", key)}
		if old := g.feeds[key]; old != nil {
			if next.daemon == g.daemon && slices.Equal(old.feed.routes.all, f.routes.all) {
				next.feeds[key] = old
				continue
			}
			old.end()
			f.status = old.feed.snapshot() // the counts go on
		}
		next.feeds[key] = &feedWorker{f, spawn(stop, f.run)}
	}
	for key, old := range g.feeds {
		if next.opened[key] == nil {
			old.end()
			_ = g.opened[key].Close() // nobody uses it any more
		}
	}
}

// longestCommand returns how long a command of these workers may take. None
// begins another one once it has to end.
func longestCommand(workers []*worker) time.Duration {
	var longest time.Duration
	for _, w := range workers {
		for _, r := range w.unit.resources {
			longest = max(longest, r.CheckTimeout, r.ReloadTimeout)
		}
	}
	return longest
}

// reportBroken logs what is wrong with each resource that cannot be used.
func (e *Engine) reportBroken(set *Set) {
	for _, b := range set.Broken {
		if slices.ContainsFunc(set.Resources, func(r *Resource) bool { return r.File == b.File }) {
			e.log.Error("resource cannot be used as it is now, it goes on as it was", "resource", b.Name, "err", b.Err)
		} else {
			e.log.Error("resource cannot be used", "resource", b.Name, "err", b.Err)
		}
	}
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

// takeUnchanged returns the workers of g whose unit is the same as one of
// units, and the units that are left.
func (g *generation) takeUnchanged(units []*unit) (kept []*worker, left []*unit) {
	for _, u := range units {
		i := slices.IndexFunc(g.workers, func(w *worker) bool { return w.unit.sameAs(u) })
		if i < 0 {
			left = append(left, u)
			continue
		}
		kept = append(kept, g.workers[i])
	}
	return kept, left
}

// sameAs tells whether both units do the same. No two units of a generation do.
func (u *unit) sameAs(other *unit) bool {
	return u.reloadCmd == other.reloadCmd &&
		u.interval == other.interval &&
		u.opts.SyncOnly == other.opts.SyncOnly &&
		u.opts.KeepStageFile == other.opts.KeepStageFile &&
		slices.EqualFunc(u.resources, other.resources, func(a, b *tracked) bool {
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
// are not busy with a command that still has time either. Those that were told
// to end and did so count as alive.
func (e *Engine) Stuck(since time.Time) []string {
	e.mu.Lock()
	g := e.running
	e.mu.Unlock()
	var stuck []string
	now := time.Now()
	if !e.pulse.alive(since, now) {
		stuck = append(stuck, "engine")
	}
	select {
	case e.wake <- struct{}{}:
	default:
	}
	if g == nil {
		return stuck
	}
	for _, w := range g.workers {
		if !w.unit.pulse.alive(since, now) && !w.ended() {
			stuck = append(stuck, w.unit.resources[0].Name)
		}
		select {
		case w.unit.mailbox.wake <- struct{}{}:
		default:
		}
	}
	for key, f := range g.feeds {
		if !f.feed.pulse.alive(since, now) && !f.ended() {
			stuck = append(stuck, "backend "+key)
		}
	}
	return stuck
}
