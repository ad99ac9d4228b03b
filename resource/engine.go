package resource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pc4patroni/backends"
)

// commandsAtOnce bounds the commands that run at one time over all units. It
// is far above the number of processors, because a command mostly waits, and
// one that hangs must not keep the other units from theirs.
const commandsAtOnce = 32

// ErrUnreachable is wrapped by the error of a resource whose backend could not
// be read.
var ErrUnreachable = errors.New("backend not read")

// ErrUnusable is wrapped by the error of a resource whose backend was not even
// tried, because its settings cannot be right.
var ErrUnusable = errors.New("backend cannot be used")

// Engine applies the resources of a set. Its methods may be called by several
// goroutines, Once and Run by one at a time.
type Engine struct {
	opts      Options
	daemon    Daemon
	open      func(key string) (backends.Backend, error)
	commands  *commands
	renderers *renderers
	history   *history
	log       *slog.Logger

	pulse pulse         // of Run
	wake  chan struct{} // has Run take a turn

	mu      sync.Mutex
	running *generation // of Run
	ready   chan struct{}
	updates chan update
}

// Daemon holds what only Run needs.
type Daemon struct {
	// Interval is the time between two full reads, and between two comparisons
	// of each file with the disk.
	Interval time.Duration
	// Watch follows the backend; without it, it is only read each Interval.
	Watch bool
}

// NewEngine returns an engine. open connects to the backend whose settings a
// key names; see Options.Backend.
func NewEngine(opts Options, daemon Daemon, open func(key string) (backends.Backend, error)) *Engine {
	return &Engine{
		opts:      opts,
		daemon:    daemon,
		open:      open,
		commands:  newCommands(opts.Environ, commandsAtOnce),
		renderers: &renderers{},
		history:   &history{},
		log:       opts.logger(),
		wake:      make(chan struct{}, 1),
		ready:     make(chan struct{}),
		updates:   make(chan update),
	}
}

// Once applies every resource of the set once, and reports on each, and on the
// broken ones, in the order of their file names. For backends that cannot be
// reached it waits up to wait in all. When stop is done no new work begins; a
// running command may finish for as long as hard lasts.
func (e *Engine) Once(stop, hard context.Context, set *Set, wait time.Duration) []Result {
	defer e.renderers.rest()
	units := newUnits(set.Resources, &e.opts, e.commands, e.renderers, 0)
	if !e.opts.Noop {
		removeAllLeftovers(units, e.log)
	}
	for _, u := range units {
		u.start()
	}

	var reads errgroup.Group
	var mu sync.Mutex
	unreachable := map[string]error{}
	for _, key := range backendKeys(units) {
		reads.Go(func() error {
			if err := e.readOnce(stop, key, newRoutes(units, key), wait); err != nil {
				mu.Lock()
				defer mu.Unlock()
				unreachable[key] = err
			}
			return nil
		})
	}
	_ = reads.Wait() // the errors are in unreachable

	var work errgroup.Group
	work.SetLimit(2 * commandsAtOnce)
	for _, u := range units {
		work.Go(func() error {
			now := time.Now()
			u.collect(now)
			u.pass(stop, hard, now)
			return nil
		})
	}
	_ = work.Wait() // the outcome is in the results

	results := resultsOf(units, set.Broken)
	for i, res := range results {
		if res.State != Waiting {
			continue
		}
		err := unreachable[backendOf(set, res.File)]
		if err == nil && stop.Err() != nil {
			err = context.Cause(stop)
		}
		results[i].Err = err
	}
	return results
}

// readOnce loads everything that the routes need and delivers it.
func (e *Engine) readOnce(ctx context.Context, key string, rs *routes, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	backend, err := e.open(key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	var again backoff
	var last error
	for {
		_, _, err := deliverPermitted(ctx, backend, rs)
		if err == nil {
			return backend.Close()
		}
		// An error that only says that time is up tells less than the one before.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if errors.Is(err, backends.ErrDenied) || !sleep(ctx, again.next(100*time.Millisecond, time.Second)) {
			_ = backend.Close() // the first error is the one that matters
			return fmt.Errorf("%w: %w", ErrUnreachable, last)
		}
		e.log.Debug("backend not reached, trying again", "err", err)
	}
}

// sleep waits for d and tells whether ctx was not done before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func backendKeys(units []*unit) []string {
	var keys []string
	for _, u := range units {
		for _, r := range u.resources {
			keys = append(keys, r.Backend)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func backendOf(set *Set, file string) string {
	i := slices.IndexFunc(set.Resources, func(r *Resource) bool { return r.File == file })
	return set.Resources[i].Backend
}

// resultsOf gathers the results of units and of broken resources, in the order
// of their file names.
func resultsOf(units []*unit, broken []Broken) []Result {
	var results []Result
	for _, u := range units {
		results = append(results, u.snapshot()...)
	}
	for _, b := range broken {
		results = append(results, Result{Name: b.Name, File: b.File, State: Failed, Err: b.Err})
	}
	slices.SortFunc(results, func(a, b Result) int { return compareFiles(a.File, b.File) })
	return results
}

func compareFiles(a, b string) int { return strings.Compare(a, b) }

// removeAllLeftovers removes the staged files of crashed runs, reading each
// directory once.
func removeAllLeftovers(units []*unit, log *slog.Logger) {
	bases := map[string]map[string]bool{}
	for _, u := range units {
		for _, r := range u.resources {
			target, err := resolve(r.Dest, r.root)
			if err != nil {
				continue // applying it says why
			}
			dir, base := filepath.Split(target)
			if bases[dir] == nil {
				bases[dir] = map[string]bool{}
			}
			bases[dir][base] = true
		}
	}
	for dir, names := range bases {
		removed, err := removeLeftovers(dir, names)
		for _, path := range removed {
			log.Info("staged file of an earlier run removed", "path", path)
		}
		if err != nil {
			log.Warn("staged files of earlier runs cannot be removed", "dest", dir, "err", err)
		}
	}
}
