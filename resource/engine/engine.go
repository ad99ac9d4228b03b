package engine

import (
	"context"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pc4patroni/backends"
	"pc4patroni/resource"
)

// Options says how resources are applied.
type Options struct {
	// Interval is the time between full reads, and between comparisons of each
	// file with the disk; Run only.
	Interval time.Duration
	// Watch follows the backends; without it they are read each Interval.
	Watch bool
	// Noop compares only: nothing is written, no command is run.
	Noop bool
	// SyncOnly installs without check_cmd and reload_cmd.
	SyncOnly bool
	// KeepStageFile keeps staged files that were not installed.
	KeepStageFile bool
	// DestDir is the root for links; see resource.Options.
	DestDir string
	// Getenv is what templates see of the environment; nil is an empty one.
	Getenv func(string) string
	// Environ is the environment of commands.
	Environ []string
	// Open connects to the backend whose settings a key names; see
	// resource.Options.
	Open func(backend string) (backends.Backend, error)
	// Observe gets every event. It is called by several goroutines and must not
	// block. Only that of New counts; nil is none.
	Observe func(Event)
	// Logger gets every record; nil discards them.
	Logger *slog.Logger
}

func (o *Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// stagedAtOnce bounds the files that are being written at one time: each takes a
// thread that waits for the disk.
const stagedAtOnce = 32

// Engine applies the resources of a set. Its methods may be called by several
// goroutines, Once and Run by one at a time.
type Engine struct {
	opts    atomic.Pointer[Options]
	observe func(Event)
	slots   chan struct{} // of commands
	staging chan struct{} // of files that are being written
	queue   *queue
	workers workers
	tidied  sync.Map // the directories that were searched for staged files of earlier runs

	ready     chan struct{}
	readyOnce sync.Once
	reloads   chan reloadRequest

	// What Run works on. The slices and the map are replaced, never changed.
	mu       sync.Mutex
	set      *resource.Set
	units    []*unit
	watchers map[string]*watcher
}

// reloadRequest is what Run is to go on with, and where to answer.
type reloadRequest struct {
	opts Options
	set  *resource.Set
	done chan error
}

// New returns an engine.
func New(opts Options) *Engine {
	e := &Engine{
		observe: opts.Observe,
		slots:   make(chan struct{}, commandsAtOnce),
		staging: make(chan struct{}, stagedAtOnce),
		queue:   newQueue(opts.logger()),
		workers: newWorkers(runtime.GOMAXPROCS(0)),
		ready:   make(chan struct{}),
		reloads: make(chan reloadRequest),
		set:     &resource.Set{},
	}
	e.opts.Store(&opts)
	return e
}

func (e *Engine) options() *Options { return e.opts.Load() }

// Ready is closed after every resource of Run has been reconciled once, for
// which every backend must have been read.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// checkReady closes ready if every unit has gone through its resources.
func (e *Engine) checkReady() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, u := range e.units {
		if !u.settled.Load() {
			return
		}
	}
	e.readyOnce.Do(func() { close(e.ready) })
}

// Run keeps every file of the set true until stop is done; then no new work
// begins, and commands that run may finish for as long as kill lasts. The
// error is about a backend that cannot be used at all; one that is merely away
// is waited for.
func (e *Engine) Run(stop, kill context.Context, set *resource.Set) error {
	r := &running{engine: e, stop: stop, kill: kill}
	defer e.workers.rest()
	defer r.goroutines.Wait()
	defer e.queue.close()
	if err := r.replace(reloadRequest{opts: *e.options(), set: set}); err != nil {
		return err
	}
	for {
		select {
		case <-stop.Done():
			return nil
		case request := <-e.reloads:
			request.done <- r.replace(request)
		}
	}
}

// Reload has Run go on with another set and other options. Units that do not
// change by that are not disturbed, but for comparing their files with the disk;
// each other one is replaced by itself, and waits only for what it replaces. A
// resource that is broken in the new set goes on as it was in the old one, if it
// was there; each of them is logged. After an error nothing has changed.
func (e *Engine) Reload(ctx context.Context, opts Options, set *resource.Set) error {
	request := reloadRequest{opts, set, make(chan error, 1)}
	select {
	case e.reloads <- request:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-request.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// running is one call of Run. One goroutine owns it.
type running struct {
	engine     *Engine
	stop, kill context.Context // of Run, which replace needs for what it starts
	goroutines sync.WaitGroup
}

// replace goes on with another set.
func (r *running) replace(request reloadRequest) error {
	e := r.engine
	old := e.set
	set := keepBroken(old, request.set)
	units := e.newUnits(set.Resources, true)
	opened, err := r.open(&request.opts, units)
	if err != nil {
		return err
	}
	e.opts.Store(&request.opts)
	logBroken(request.opts.logger(), old, set)

	kept, fresh, ended := match(e.units, units)
	succeed(fresh, ended)
	first := e.units == nil
	all := slices.Concat(kept, fresh)
	r.route(all, opened)
	for _, u := range fresh {
		for _, s := range u.resources {
			s.inheritStatus()
		}
	}
	e.mu.Lock()
	e.set, e.units = set, all
	e.mu.Unlock()
	for _, u := range ended {
		u.stop()
	}
	var known []*resourceState
	for _, u := range fresh {
		if len(u.replaces) > 0 {
			u.occupied.Store(1) // until what it replaces has ended
		}
		for _, s := range u.resources {
			if s.keys.areKnown() {
				known = append(known, s)
			}
		}
	}
	e.queue.dispatch(known, time.Now())
	for _, u := range fresh {
		stop, cancel := context.WithCancel(r.stop)
		u.stop = cancel
		r.goroutines.Go(func() { u.run(stop, r.kill) })
	}
	for _, u := range kept {
		u.verifyNow()
	}
	if !first {
		e.checkReady()
	}
	return nil
}

// open opens the backends that the units need and that are not open yet. If one
// cannot be opened, none is.
func (r *running) open(opts *Options, units []*unit) (map[string]backends.Backend, error) {
	opened := map[string]backends.Backend{}
	for _, name := range backendsOf(units) {
		if r.engine.watchers[name] != nil {
			continue
		}
		b, err := opts.Open(name)
		if err != nil {
			for _, b := range opened {
				_ = b.Close() // the first error is the one that matters
			}
			return nil, err
		}
		opened[name] = b
	}
	return opened, nil
}

// route leads the backends' keys to units: it starts and ends watchers.
func (r *running) route(units []*unit, opened map[string]backends.Backend) {
	e := r.engine
	watchers := map[string]*watcher{}
	byBackend := map[string][]*resourceState{}
	for _, u := range units {
		for _, s := range u.resources {
			if !s.IsStatic() {
				byBackend[s.Backend] = append(byBackend[s.Backend], s)
			}
		}
	}
	opts := e.options()
	for name, resources := range byBackend {
		w := e.watchers[name]
		if w == nil {
			w = &watcher{name: name, backend: opened[name], queue: e.queue, emit: e.emit, log: opts.logger().With("backend", name),
				versions: map[string]backends.Version{}}
		}
		w.route(resources, opts.Interval, !opts.Watch)
		watchers[name] = w
	}
	for name, w := range watchers {
		if e.watchers[name] == nil {
			ctx, cancel := context.WithCancel(r.stop)
			w.cancel = cancel
			r.goroutines.Go(func() {
				w.run(ctx)
				_ = w.backend.Close() // nobody uses it any more
			})
		}
	}
	for name, w := range e.watchers {
		if watchers[name] == nil {
			w.cancel()
		}
	}
	e.mu.Lock()
	e.watchers = watchers
	e.mu.Unlock()
}

// backendsOf returns the names of the backends that the units read.
func backendsOf(units []*unit) []string {
	names := map[string]bool{}
	for _, u := range units {
		for _, r := range u.resources {
			if !r.IsStatic() {
				names[r.Backend] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func compare(a, b string) int { return strings.Compare(a, b) }
