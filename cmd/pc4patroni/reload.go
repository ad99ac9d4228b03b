package main

import (
	"context"
	"fmt"

	"pc4patroni/resource"
)

// reload reads everything again that SIGHUP asks for. What cannot be used is
// reported, and the old state stays.
func (d *daemon) reload(ctx context.Context) {
	d.log.Info("reloading the configuration")
	d.notifier.Reloading(true)
	defer d.notifier.Reloading(false)
	set, err := d.readAgain(ctx)
	switch {
	case ctx.Err() != nil:
		// The program ends; whether this was in time is of no interest.
	case err != nil:
		d.log.Error("new configuration rejected, the old one stays in use", "err", err)
	default:
		inUse := 0
		for _, r := range d.Status().Resources {
			if r.Dest != "" { // also one that is broken now, as it was before
				inUse++
			}
		}
		d.log.Info("configuration reloaded", "in_use", inUse, "broken", len(set.Broken))
	}
}

// readAgain has the engine go on with what the configuration says now. After
// an error nothing has changed.
func (d *daemon) readAgain(ctx context.Context) (*resource.Set, error) {
	settings, warnings, err := d.Load()
	if err != nil {
		return nil, err
	}
	sum, runs := settings.ContentDigest(), false
	defer func() { d.disk.read(sum, runs) }()
	fixed := settings.KeepFixed(d.settings)

	old, used := d.backends.Load(), d.Status().Backends
	named := old.Renew(settings, func(name string) bool {
		_, inUse := used[name]
		return inUse || len(used) == 0 // none is known before the engine has begun
	})
	set, err := d.load(settings, named)
	if err != nil {
		return nil, err
	}
	d.backends.Store(named)
	if err := d.Engine.Reload(ctx, d.engineOptions(settings), set); err != nil {
		d.backends.Store(old)
		return nil, fmt.Errorf("apply it: %w", err)
	}

	runs = true
	d.warn(warnings)
	for _, name := range fixed {
		d.log.Warn("setting changed, takes effect after a restart only", "setting", name)
	}
	d.settings = settings
	d.level.Set(settings.LogLevel)
	d.signals.grace.Store(int64(settings.ShutdownTimeout))
	return set, nil
}
