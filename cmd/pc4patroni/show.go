package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"pc4patroni/backends"
	"pc4patroni/internal/config"
	"pc4patroni/internal/report"
	"pc4patroni/internal/show"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"
)

// show prints the clusters among the keys as the template functions see them,
// and how each resource stands with them. Of several backends, one that cannot
// be reached does not hide what the others hold.
func (p *program) show(ctx context.Context) error {
	p.warnOutdated(ctx)
	named := config.NewBackends(p.settings)
	set, readings, err := p.toShow(named)
	if err != nil {
		return err
	}
	if err := p.readAll(ctx, opener(named, p.log), readings); err != nil {
		return err
	}
	found := &show.Findings{Now: time.Now(), SeveralBackends: len(readings) > 1}
	for _, r := range readings {
		found.Add(r.backend, r.values)
	}
	if set != nil {
		if found.Resources, err = p.viewResources(ctx, set, readings); err != nil {
			return err
		}
	}

	var out bytes.Buffer
	if p.settings.Output == "json" {
		if err := found.WriteJSON(&out); err != nil {
			return err
		}
	} else {
		found.WriteTable(&out)
	}
	if _, err := io.Copy(p.stdout, &out); err != nil {
		return err
	}
	return verdict(found, readings)
}

// toShow says what to read: what is below -prefix, if that was typed, else what
// the resources load, which are then looked at as well. A prefix out of the
// configuration file or the environment belongs to the resources, if there are
// any.
func (p *program) toShow(named *config.Backends) (*resource.Set, []reading, error) {
	if p.settings.PrefixTyped() {
		readings, err := p.toRead(named, nil)
		return nil, readings, err
	}
	set, err := p.loadToRead(named)
	if errors.Is(err, resource.ErrNoResources) && p.settings.Prefix != "" {
		readings, err := p.toRead(named, nil)
		return nil, readings, err
	}
	if err != nil {
		return nil, nil, err
	}
	readings, err := p.toRead(named, set)
	return set, readings, err
}

// verdict is the error that decides the exit status.
func verdict(f *show.Findings, readings []reading) error {
	var unread []error
	keys := 0
	for _, r := range readings {
		keys += len(r.values)
		if r.err != nil {
			unread = append(unread, r.err)
		}
	}
	troubled := 0
	for i := range f.Resources {
		if r := &f.Resources[i].Result; report.State(r).Level > report.OK && r.State != engine.Pending && r.State != engine.Waiting {
			troubled++
		}
	}
	switch {
	case len(f.Resources) > 0 && !slices.ContainsFunc(f.Resources, func(v show.Resource) bool { return v.Declared != nil }):
		return &configError{errors.New("no resource can be used; name the keys with -prefix")}
	case len(unread) > 0:
		return errors.Join(unread...)
	case troubled > 0:
		return fmt.Errorf("%d of %d resources failed, are held or have a pending reload", troubled, len(f.Resources))
	case len(f.Clusters) > 0:
		return nil
	case keys == 0:
		return errors.New(nothingBelow(readings))
	default:
		return fmt.Errorf("none of the %d keys belongs to a cluster of Patroni", keys)
	}
}

// viewResources renders and compares every resource as -noop does, with the
// keys that have been read already.
func (p *program) viewResources(ctx context.Context, set *resource.Set, readings []reading) ([]show.Resource, error) {
	byBackend := make(map[string]reading)
	for _, r := range readings {
		byBackend[r.backend] = r
	}
	open := func(key string) (backends.Backend, error) { return asRead{byBackend[key]}, nil }
	opts := p.engineOptions(p.settings, open)
	opts.Noop, opts.KeepStageFile, opts.Logger = true, false, nil // what would be logged is printed
	results := engine.New(opts).Once(ctx, ctx, set, p.settings.Wait)
	if err := ctx.Err(); err != nil {
		return nil, interrupted(ctx)
	}
	views := make([]show.Resource, 0, len(results))
	for _, result := range results {
		v := show.Resource{Result: result}
		if i := slices.IndexFunc(set.Resources, func(r *resource.Resource) bool { return r.File == result.File }); i >= 0 {
			v.Declared = set.Resources[i]
			v.Look(byBackend[v.Declared.Backend].values)
		}
		views = append(views, v)
	}
	return views, nil
}

// asRead is a backend that holds what was read from another.
type asRead struct{ reading }

var _ backends.Backend = asRead{}

func (r asRead) Load(context.Context, []string) ([]backends.Update, error) {
	if r.err != nil {
		// Trying again has been done already.
		return nil, fmt.Errorf("%w: %w", backends.ErrDenied, r.err)
	}
	return r.updates, nil
}

func (r asRead) Watch(context.Context, []backends.WatchPath, time.Duration, func([]backends.Update) error) error {
	return errors.New("what was read once cannot be watched")
}

func (r asRead) Close() error { return nil }
