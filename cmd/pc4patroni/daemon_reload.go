package main

import (
	"context"
	"fmt"

	"pc4patroni/resource"
)

// reload reads everything again that SIGHUP asks for. What cannot be used is
// reported, and the old state goes on.
func (d *daemon) reload(ctx context.Context) {
	d.log.Info("reading the configuration again")
	d.notifier.reading(true)
	defer d.notifier.reading(false)
	set, err := d.readAgain(ctx)
	switch {
	case ctx.Err() != nil:
		// The program ends; whether this was in time is of no interest.
	case err != nil:
		d.log.Error("the new configuration cannot be used, the old one goes on", "err", err)
	default:
		d.log.Info("configuration read again", "resources", len(set.Resources), "broken", len(set.Broken))
	}
}

// readAgain has the engine go on with what the configuration says now. After
// an error nothing has changed.
func (d *daemon) readAgain(ctx context.Context) (*resource.Set, error) {
	settings, warnings, err := d.load()
	if err != nil {
		return nil, err
	}
	next := *d.program
	next.settings = settings
	fixed := next.keepFixed(&d.settings)

	old := d.stores.Load()
	stores := old.renew(settings, d.engine.Status().Backends)
	opts := next.resourceOptions(stores)
	set, err := resource.Load(opts)
	if err != nil {
		return nil, err
	}
	d.stores.Store(stores)
	if err := d.engine.Update(ctx, opts, next.engineOptions(), set); err != nil {
		d.stores.Store(old)
		return nil, fmt.Errorf("apply it: %w", err)
	}

	for _, warning := range warnings {
		d.log.Warn("doubtful configuration", "why", warning)
	}
	for _, name := range fixed {
		d.log.Warn("this setting has changed, but takes effect with a restart only", "setting", name)
	}
	d.settings = next.settings
	d.level.Set(d.settings.LogLevel)
	d.shutdown.Store(int64(d.settings.ShutdownTimeout))
	return set, nil
}

// keepFixed puts back the settings that a running daemon cannot change, and
// returns the names of those that were meant to.
func (p *program) keepFixed(old *settings) []string {
	s := &p.settings
	var fixed []string
	keep := func(name string, changed bool) {
		if changed {
			fixed = append(fixed, name)
		}
	}
	keep("listen", s.Listen != old.Listen)
	keep("log-format", s.LogFormat != old.LogFormat)
	keep("onetime", s.OneTime && !s.Noop)
	keep("noop", s.Noop)
	keep("check", s.Check)
	keep("show", s.Show)
	keep("dump", s.Dump != "")
	s.Listen, s.LogFormat = old.Listen, old.LogFormat
	s.OneTime, s.Noop, s.Check, s.Show, s.Dump = false, false, false, false, ""
	return fixed
}
