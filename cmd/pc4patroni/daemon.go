package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"pc4patroni/internal/report"
	"pc4patroni/internal/sdnotify"
	"pc4patroni/internal/statuspage"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"
)

// daemon is the program while it stays. The settings of its program belong to
// the goroutine that reloads the configuration.
type daemon struct {
	*program
	*engine.Engine
	notifier *sdnotify.Notifier
	page     *statuspage.Server // nil without -listen
	disk     onDisk
}

// daemon keeps the files in sync until stop is done, which is no error.
func (p *program) daemon(stop, kill context.Context) error {
	listener, err := statuspage.Listen(stop, p.settings.Listen, p.settings.WebConfigFile)
	if err != nil {
		return &configError{err}
	}
	if listener != nil {
		defer listener.Close() // the server has closed it, if there was one
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	outliveReaders()

	d := &daemon{program: p}
	d.disk.read(p.settings.ContentDigest(), true)
	set, err := p.load(p.settings, p.backends.Load())
	if err != nil {
		return err
	}
	if len(set.Resources) == 0 {
		return &configError{noneUsable(set)}
	}
	opts := p.engineOptions(p.settings)
	if listener != nil {
		d.page = statuspage.New(p.settings.Listen, listener, p.settings.WebConfigFile, p.log)
		opts.Observe = d.page.Observe
	}
	d.Engine = engine.New(opts)
	status := func() string { return report.Summary(d.Status()) }
	stopWithin := func() time.Duration { return time.Duration(p.signals.grace.Load()) + endsWithin }
	d.notifier = sdnotify.New(d, status, stopWithin, p.Getenv, p.log)
	p.log.Info("started", "resources", len(set.Resources), "confdir", p.settings.ConfDir)
	return d.run(stop, kill, set, hangup)
}

// run has the engine work until stop is done, and what reports on it as long as
// the engine works.
func (d *daemon) run(stop, kill context.Context, set *resource.Set, hangup <-chan os.Signal) error {
	reloading, stopReloading := context.WithCancel(stop)
	defer stopReloading()
	working, finish := context.WithCancel(context.WithoutCancel(stop))
	defer finish()
	var beside sync.WaitGroup
	beside.Go(func() { d.notifier.Run(stop, working.Done()) })
	if d.page != nil {
		beside.Go(func() { d.page.Serve(working, d) })
	}
	beside.Go(func() { d.wait(reloading, hangup) })

	err := d.Engine.Run(stop, kill, set)
	stopReloading()
	finish()
	beside.Wait()
	if err != nil {
		return &configError{err}
	}
	return cutShort(kill)
}

// wait waits for SIGHUP, and for the first full reconcile, until ctx is done.
func (d *daemon) wait(ctx context.Context, hangup <-chan os.Signal) {
	ready := d.Ready()
	var look <-chan time.Time
	if d.settings.Noop {
		look = time.Tick(lookEvery)
	}
	said := make(map[string]string)
	interval := time.NewTimer(d.settings.Interval)
	for {
		select {
		case <-look:
			d.sayChanges(said)
		case <-ctx.Done():
			return
		case <-ready:
			ready = nil
			resources := d.Status().Resources
			fine := 0
			for i := range resources {
				if report.InSync(&resources[i]) {
					fine++
				}
			}
			d.log.Info("every resource was reconciled once", "in_sync", fine, "of", len(resources))
			d.logNeighbours(ctx, resources)
		case <-hangup:
			d.reload(ctx)
			interval.Reset(d.settings.Interval)
		case <-interval.C:
			d.compare(ctx)
			interval.Reset(d.settings.Interval)
		}
	}
}

// lookEvery is the time between looks what a daemon with Noop would do.
const lookEvery = time.Second

// sayChanges logs what a daemon with Noop would do, once for each change. said
// is what it logged last, by resource.
func (d *daemon) sayChanges(said map[string]string) {
	for _, r := range d.Status().Resources {
		if r.Change == nil {
			delete(said, r.Name)
			continue
		}
		hunks, _ := report.Diff(r.Change.Old, r.Change.Now)
		removed, added := report.LineChanges(hunks)
		attrs := []any{"resource", r.Name, "dest", r.Change.Dest, "lines_added", added, "lines_removed", removed}
		for _, what := range r.Change.Metadata {
			attrs = append(attrs, "also", what)
		}
		if r.Change.Reload != "" {
			attrs = append(attrs, "cmd", r.Change.Reload)
		}
		if words := fmt.Sprintf("%s\n%s", attrs, r.Change.Now); said[r.Name] != words {
			said[r.Name] = words
			d.log.Info("would change the file", attrs...)
		}
	}
}

// noneUsable says what is wrong with every resource of a set.
func noneUsable(set *resource.Set) error {
	var err error
	for _, b := range set.Broken {
		err = errors.Join(err, b.Err)
	}
	return errors.Join(err, fmt.Errorf("none of the resources (%d) can be used", len(set.Broken)))
}
