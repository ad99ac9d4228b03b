package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"pc4patroni/backends"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"
)

// reading is what was read from one backend.
type reading struct {
	backend string // its name
	paths   []string
	updates []backends.Update
	values  map[string]string // of all updates
	err     error             // why there are no values, wrapping errUnreachable
}

// toRead says what -show and -dump read: what is below -prefix, in the global
// backend, if that was typed; else what the resources load, backend by backend,
// and the resources with it. A prefix out of the configuration file or the
// environment belongs to the resources, if there are any.
func (p *program) toRead() (*resource.Set, []reading, error) {
	var set *resource.Set
	err := resource.ErrNoResources
	if !p.settings.PrefixTyped() {
		set, err = p.load(p.settings, p.backends.Load())
	}
	switch {
	case errors.Is(err, resource.ErrNoResources) && p.settings.Prefix != "":
		name, err := p.backends.Load().Name(nil, nil)
		return nil, []reading{{backend: name, paths: []string{backends.Join(p.settings.Prefix, "/")}}}, err
	case errors.Is(err, resource.ErrNoResources):
		return nil, nil, &configError{fmt.Errorf("%w; or name the keys with -prefix", err)}
	case err != nil:
		return nil, nil, err
	}
	paths := make(map[string][]string)
	for _, r := range set.Resources {
		if !r.IsStatic() {
			paths[r.Backend] = append(paths[r.Backend], r.Paths...)
		}
	}
	var readings []reading
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		readings = append(readings, reading{backend: name, paths: slices.Compact(slices.Sorted(slices.Values(paths[name])))})
	}
	return set, readings, nil
}

// errNoneUsable is for a folder of broken resources.
var errNoneUsable = &configError{errors.New("no resource can be used: -check says why; with -prefix the clusters are shown all the same")}

// readAll reads from all backends at once, for as long as -wait says. An error
// of one backend stands in its reading, unless it means that the configuration
// is wrong or that the user does not want to wait.
func (p *program) readAll(ctx context.Context, readings []reading) error {
	waiting, cancel := context.WithTimeout(ctx, p.settings.Wait)
	defer cancel()
	var reads errgroup.Group
	for i := range readings {
		r := &readings[i]
		reads.Go(func() error {
			backend, err := p.open(r.backend)
			if err != nil {
				return &configError{fmt.Errorf("%s: %w", r.backend, err)}
			}
			defer backend.Close() // the answer is here, or there is none
			if r.updates, err = engine.Load(waiting, backend, r.paths, p.log); err == nil {
				r.values, err = valuesOf(r.updates)
			}
			if err != nil {
				r.err = fmt.Errorf("%w: %s: %w", errUnreachable, r.backend, err)
			}
			return nil
		})
	}
	err := reads.Wait()
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	return err
}

// valuesOf gathers the keys of all updates. That some may not be read is an error
// only if there are no others.
func valuesOf(updates []backends.Update) (map[string]string, error) {
	values := make(map[string]string)
	var denied error
	for _, up := range updates {
		maps.Copy(values, up.Keys)
		denied = errors.Join(denied, up.Denied)
	}
	if len(values) > 0 {
		return values, nil
	}
	return values, denied
}

// interrupted is the error of a run that a signal ended.
func interrupted(ctx context.Context) error {
	return fmt.Errorf("interrupted: %w", context.Cause(ctx))
}
