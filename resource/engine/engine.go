package engine

import (
	"context"
	"log/slog"
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

// Engine applies the resources of a set. Its methods may be called by several
// goroutines, Once and Run by one at a time.
type Engine struct {
	opts    atomic.Pointer[Options]
	observe func(Event)
	slots   chan struct{} // of commands
	run     commandRunner
	queue   *queue
	tidied  sync.Map // the directories that were searched for staged files of earlier runs

	ready     chan struct{}
	readyOnce sync.Once
	// running is the call of Run that is under way, for whoever configures it.
	running chan *running

	// What Run works on. The slices and the map are replaced, never changed.
	mu        sync.Mutex
	set       *resource.Set
	resources []*resourceState
	units     []*unit // also those that are about to end
	watchers  map[string]*watcher
}

// New returns an engine.
func New(opts Options) *Engine {
	e := &Engine{
		observe: opts.Observe,
		slots:   make(chan struct{}, commandsAtOnce),
		run:     runCommand,
		queue:   newQueue(opts.logger()),
		ready:   make(chan struct{}),
		running: make(chan *running, 1),
		set:     &resource.Set{},
	}
	e.opts.Store(&opts)
	return e
}

func (e *Engine) options() *Options { return e.opts.Load() }

// Ready is closed after every resource of Run has been reconciled once, its
// reload included, for which every backend must have been read.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// checkReady closes ready if every resource has been reconciled.
func (e *Engine) checkReady() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.resources {
		if !r.settled.Load() {
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
	defer r.goroutines.Wait()
	defer e.queue.close()
	if err := r.configure(*e.options(), set); err != nil {
		return err
	}
	e.running <- r
	<-stop.Done()
	<-e.running // nobody starts anything after that
	return nil
}

// Reload has Run go on with another set and other options. Units that do not
// change by that are not disturbed, but for comparing their files with the disk;
// each other one goes on with its new resources as soon as its command has ended. A
// resource that is broken in the new set goes on as it was in the old one, if it
// was there; each of them is logged. After an error nothing has changed.
func (e *Engine) Reload(ctx context.Context, opts Options, set *resource.Set) error {
	select {
	case r := <-e.running:
		defer func() { e.running <- r }()
		return r.configure(opts, set)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// running is one call of Run. It belongs to whoever has taken it from its
// channel.
type running struct {
	engine     *Engine
	stop, kill context.Context // of Run, for what configure starts
	goroutines sync.WaitGroup
	leaving    []*resourceState // of earlier configurations, while units may still work on them
}

// configure goes on with another set.
func (r *running) configure(opts Options, set *resource.Set) error {
	e := r.engine
	set = keepBroken(e.set, set)
	watchers, err := r.open(&opts, set.Resources)
	if err != nil {
		return err
	}
	e.opts.Store(&opts)
	logBroken(opts.logger(), e.set, set)

	before := map[*unit][]*resourceState{}
	for _, u := range e.units {
		before[u] = u.planned
	}
	r.leaving = slices.DeleteFunc(r.leaving, func(s *resourceState) bool { return isClosed(s.released) })
	units, resources := e.plan(set, true, r.leaving)
	for _, s := range e.resources {
		if !slices.Contains(resources, s) {
			r.leaving = append(r.leaving, s)
		}
	}
	var ending []*unit
	for _, u := range e.units {
		if !slices.Contains(units, u) && !isClosed(u.ended) {
			u.planned = nil
			ending = append(ending, u)
		}
	}
	r.route(resources, watchers)
	first := e.units == nil
	e.mu.Lock()
	e.set, e.resources, e.units = set, resources, slices.Concat(ending, units)
	e.mu.Unlock()

	changes := map[*resourceState]urgency{}
	for _, u := range e.units {
		was, runs := before[u]
		if runs && slices.Equal(was, u.planned) {
			u.verifyNow()
			continue
		}
		u.assign(u.planned)
		for _, s := range u.planned {
			// Of new keys a watcher tells the queue.
			if !slices.Contains(was, s) && (s.inherited || s.IsStatic()) && s.keys.areKnown() {
				changes[s] = urgent
			}
		}
		if !runs {
			r.goroutines.Go(func() { u.run(r.stop, r.kill) })
		}
	}
	e.queue.put(changes, time.Now())
	if !first {
		e.checkReady()
	}
	return nil
}

// open returns a watcher for each backend that the resources need: the one that
// runs, or a new one. If a backend cannot be opened, none is.
func (r *running) open(opts *Options, resources []*resource.Resource) (map[string]*watcher, error) {
	watchers, opened := map[string]*watcher{}, []backends.Backend{}
	for _, res := range resources {
		name := res.Backend
		if res.IsStatic() || watchers[name] != nil {
			continue
		}
		if watchers[name] = r.engine.watchers[name]; watchers[name] != nil {
			continue
		}
		b, err := opts.Open(name)
		if err != nil {
			for _, b := range opened {
				_ = b.Close() // the first error is the one that matters
			}
			return nil, err
		}
		opened = append(opened, b)
		watchers[name] = &watcher{name: name, backend: b, queue: r.engine.queue, emit: r.engine.emit,
			log: opts.logger().With("backend", name), versions: map[string]backends.Version{}}
	}
	return watchers, nil
}

// route leads the backends' keys to resources: it starts and ends watchers.
func (r *running) route(resources []*resourceState, watchers map[string]*watcher) {
	e := r.engine
	opts := e.options()
	for name, resources := range byBackend(resources) {
		w := watchers[name]
		w.route(resources, opts.Interval, !opts.Watch)
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

// byBackend returns the resources that see keys, by the name of their backend.
func byBackend(resources []*resourceState) map[string][]*resourceState {
	groups := map[string][]*resourceState{}
	for _, r := range resources {
		if !r.IsStatic() {
			groups[r.Backend] = append(groups[r.Backend], r)
		}
	}
	return groups
}

func compare(a, b string) int { return strings.Compare(a, b) }
