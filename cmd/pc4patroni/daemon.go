package main

import (
	"context"

	"pc4patroni/resource"
)

// daemon keeps the files true until ctx is done.
func (p *program) daemon(ctx context.Context) error {
	stores := newStores(p.settings, p.log)
	opts := p.resourceOptions(stores)
	set, err := resource.Load(opts)
	if err != nil {
		return &configError{err}
	}
	hard, cancel := graceAfter(ctx, p.settings.ShutdownTimeout)
	defer cancel()
	engine := resource.NewEngine(opts, resource.Daemon{Interval: p.settings.Interval, Watch: p.settings.Watch}, stores.open)
	return engine.Run(ctx, hard, set)
}
