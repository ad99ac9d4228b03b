package resource

import (
	"context"
	"path"
	"slices"
	"sync"
	"time"

	"pc4patroni/backends"
)

// Keys are the keys that are held for a resource.
type Keys struct {
	Resource, Backend string
	// Values holds every key in full, below the resource's prefix.
	Values map[string]string
}

// heldKeys are the keys of one resource as its unit hands them out: relative to
// the prefix.
type heldKeys struct {
	resource *Resource
	keys     []backends.Change
}

// Keys asks each unit of Run for the keys that it holds; resources that have
// none yet are left out. A unit that works answers when it is done or waits for
// a command; silent are the resources of those that had not answered when ctx
// was done. No unit waits for the caller.
func (e *Engine) Keys(ctx context.Context) (held []Keys, silent []string) {
	e.mu.Lock()
	g := e.running
	e.mu.Unlock()
	if g == nil {
		return nil, nil
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, w := range g.workers {
		asking.Go(func() {
			answer, ok := w.ask(ctx)
			mu.Lock()
			defer mu.Unlock()
			if !ok {
				for _, r := range w.unit.resources {
					silent = append(silent, r.Name)
				}
			}
			for _, h := range answer {
				held = append(held, h.inFull())
			}
		})
	}
	asking.Wait()
	slices.Sort(silent)
	slices.SortFunc(held, func(a, b Keys) int { return compareFiles(a.Resource, b.Resource) })
	return held, silent
}

// ask has the unit answer, or gives up when ctx is done or the unit has ended.
func (w *worker) ask(ctx context.Context) (answer []heldKeys, ok bool) {
	reply := make(chan []heldKeys, 1)
	select {
	case w.unit.questions <- reply:
	case <-ctx.Done():
		return nil, false
	case <-w.done:
		return nil, false
	}
	// The unit has the question, and its answer needs nothing but the unit.
	return <-reply, true
}

// answer gives a copy of the keys. The unit calls it where it waits.
func (u *unit) answer() []heldKeys {
	var all []heldKeys
	for _, r := range u.resources {
		if !r.loaded {
			continue
		}
		keys := make([]backends.Change, 0, r.store.Len())
		for key, value := range r.store.All() {
			keys = append(keys, backends.Change{Key: key, Value: value})
		}
		all = append(all, heldKeys{r.Resource, keys})
	}
	return all
}

func (h heldKeys) inFull() Keys {
	values := make(map[string]string, len(h.keys))
	for _, c := range h.keys {
		values[path.Join("/", h.resource.Prefix, c.Key)] = c.Value
	}
	return Keys{Resource: h.resource.Name, Backend: h.resource.Backend, Values: values}
}

// command runs a command for the unit, which answers questions meanwhile. It
// returns how long the command took.
func (u *unit) command(stop, ctx context.Context, line string, timeout time.Duration) (took time.Duration, err error) {
	defer u.pulse.beat()
	begun, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err = u.commands.acquire(stop, ctx); err != nil {
			return
		}
		defer u.commands.release()
		close(begun)
		took, err = u.commands.runNow(ctx, line, timeout)
	}()
	// Waiting for other units' commands is no standstill, however many there are.
	waiting := time.NewTicker(time.Second)
	defer waiting.Stop()
	u.pulse.busy(timeout)
	for {
		select {
		case <-waiting.C:
			u.pulse.busy(timeout)
		case <-begun:
			begun = nil
			waiting.Stop()
			u.pulse.busy(timeout)
		case <-done:
			return took, err
		case reply := <-u.questions:
			reply <- u.answer()
		}
	}
}
