package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"pc4patroni/backends"
	"pc4patroni/resource"
)

// Waits before a backend is asked again.
const (
	firstWait = 100 * time.Millisecond
	lastWait  = time.Second
)

// reading is what was read from one backend.
type reading struct {
	backend string // its key
	paths   []string
	values  map[string]string
	err     error // why there are no values, wrapping errUnreachable
}

// read loads, for -dump, what lies below -prefix in the global backend or,
// without a prefix, what the resources would load, backend by backend.
func (p *program) read(ctx context.Context) ([]reading, error) {
	stores := newStores(p.settings, p.log)
	var set *resource.Set
	if p.settings.Prefix == "" {
		var err error
		if set, err = p.loadToRead(stores); err != nil {
			return nil, err
		}
		for _, broken := range set.Broken {
			p.log.Error("resource cannot be used", "resource", broken.Name, "err", broken.Err)
		}
		if len(set.Resources) == 0 {
			return nil, &configError{errors.New("no resource can be used; name the keys with -prefix")}
		}
	}
	readings, err := p.toRead(stores, set)
	if err != nil {
		return nil, err
	}
	p.readAll(ctx, stores, readings)
	for _, r := range readings {
		if r.err != nil {
			return nil, r.err
		}
	}
	return readings, nil
}

// loadToRead loads the resources that say what to read.
func (p *program) loadToRead(stores *stores) (*resource.Set, error) {
	set, err := resource.Load(p.resourceOptions(stores))
	if errors.Is(err, resource.ErrNoResources) {
		return nil, &configError{fmt.Errorf("%w; or name the keys with -prefix", err)}
	}
	if err != nil {
		return nil, &configError{err}
	}
	return set, nil
}

// toRead says what the resources of the set load from which backend or, without
// a set, what lies below -prefix in the global one.
func (p *program) toRead(stores *stores, set *resource.Set) ([]reading, error) {
	if set == nil {
		key, err := stores.key(nil, nil)
		return []reading{{backend: key, paths: []string{backends.Join(p.settings.Prefix, "/")}}}, err
	}
	paths := make(map[string][]string)
	for _, r := range set.Resources {
		paths[r.Backend] = append(paths[r.Backend], r.Paths...)
	}
	var readings []reading
	for _, key := range slices.Sorted(maps.Keys(paths)) {
		readings = append(readings, reading{backend: key, paths: backends.Minimize(paths[key])})
	}
	return readings, nil
}

// readAll reads from all backends at once, for as long as -wait says.
func (p *program) readAll(ctx context.Context, stores *stores, readings []reading) {
	ctx, cancel := context.WithTimeout(ctx, p.settings.Wait)
	defer cancel()
	var reads sync.WaitGroup
	for i := range readings {
		reads.Go(func() {
			r := &readings[i]
			var err error
			if r.values, err = p.readOne(ctx, stores, r); err != nil {
				r.err = fmt.Errorf("%w: %s: %w", errUnreachable, r.backend, err)
			}
		})
	}
	reads.Wait()
}

// readOne tries until ctx is done, or until trying again would be of no use.
func (p *program) readOne(ctx context.Context, stores *stores, r *reading) (map[string]string, error) {
	backend, err := stores.open(r.backend)
	if err != nil {
		return nil, err
	}
	defer backend.Close() // the answer is here, or there is none
	var last error
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		snapshot, err := backend.Load(ctx, r.paths)
		if err == nil {
			return snapshot.Values, nil
		}
		// An error that only says that time is up tells less than the one before.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if errors.Is(err, backends.ErrDenied) {
			return nil, last
		}
		p.log.Debug("backend not reached, trying again", "err", err)
		select {
		case <-ctx.Done():
			return nil, last
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
	}
}
