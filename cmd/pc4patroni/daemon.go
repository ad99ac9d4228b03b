package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pc4patroni/backends"
	"pc4patroni/resource"
)

// How long the engine may take to end after its commands had to, when somebody
// waits and when nobody does. Only a loop that hangs takes that long.
const (
	endsWithin       = 10 * time.Second
	endsAtOnceWithin = 2 * time.Second
)

// daemon is the program while it stays. The settings of its program belong to
// the goroutine that reads the configuration again; what others need of them
// is here.
type daemon struct {
	*program
	engine   *resource.Engine
	notifier *notifier
	listener net.Listener // of -listen, or nil
	stores   atomic.Pointer[stores]
	shutdown atomic.Int64 // -shutdown-timeout
}

// daemon keeps the files true until ctx is done, which is no error.
func (p *program) daemon(ctx context.Context) error {
	listener, err := p.listen(ctx)
	if err != nil {
		return err
	}
	if listener != nil {
		defer listener.Close() // the server has closed it, if there was one
		p.changeText = changeText(isLoopback(listener.Addr()))
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	outliveReaders()

	d := &daemon{program: p}
	stores := newStores(p.settings, p.log)
	d.stores.Store(stores)
	d.shutdown.Store(int64(p.settings.ShutdownTimeout))
	opts := p.resourceOptions(stores)
	set, err := resource.Load(opts)
	if err != nil {
		return &configError{err}
	}
	if len(set.Resources) == 0 {
		return &configError{noneUsable(set)}
	}
	d.engine = resource.NewEngine(opts, p.engineOptions(), d.open)
	d.notifier = p.newNotifier(d.engine, d.shutdownTimeout)
	d.listener = listener
	p.log.Info("started", "resources", len(set.Resources), "confdir", p.settings.ConfDir)
	return d.run(ctx, set, hangup)
}

// run has the engine work until stop is done, and serves it meanwhile.
func (d *daemon) run(stop context.Context, set *resource.Set, hangup <-chan os.Signal) error {
	hard, cancel := d.graceAfter(stop, d.shutdownTimeout)
	defer cancel()
	reading, stopReading := context.WithCancel(stop)
	defer stopReading()
	// Who asks is told as long as the engine works.
	serving, stopServing := context.WithCancel(context.WithoutCancel(stop))
	defer stopServing()
	finished := make(chan struct{})
	var err error // of the engine; only after finished
	go func() {
		defer close(finished)
		err = d.engine.Run(stop, hard, set)
	}()
	var beside sync.WaitGroup
	beside.Go(func() { d.notifier.run(stop, finished) })
	if d.listener != nil {
		handler := newHandler(newMonitor(d.engine, hostName()), d.settings.Listen, d.listener.Addr())
		beside.Go(func() { serveStatus(serving, d.listener, handler, d.log) })
	}
	beside.Go(func() { d.serve(reading, hangup) })

	if !endsAfter(hard, finished) {
		// Nothing is waited for any more: the process ends, and with it what hangs.
		return errors.Join(cutShort(hard), errors.New("something hangs and was not waited for; the next start puts right what it left"))
	}
	stopReading()
	stopServing()
	beside.Wait()
	if err != nil {
		return &configError{err}
	}
	return cutShort(hard)
}

// endsAfter waits for finished, for a bounded time once hard is done, and
// tells whether it was closed.
func endsAfter(hard context.Context, finished <-chan struct{}) bool {
	select {
	case <-finished:
		return true
	case <-hard.Done():
	}
	within := endsWithin
	if cutShort(hard) != nil {
		within = endsAtOnceWithin
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-finished:
		return true
	case <-timer.C:
		return false
	}
}

// serve waits for what happens once or now and then, until ctx is done.
func (d *daemon) serve(ctx context.Context, hangup <-chan os.Signal) {
	ready := d.engine.Ready()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ready:
			ready = nil
			d.log.Info("ready, every resource has been gone through")
		case <-hangup:
			d.reload(ctx)
		}
	}
}

// open connects to the backend of a key, for the engine.
func (d *daemon) open(key string) (backends.Backend, error) { return d.stores.Load().open(key) }

func (d *daemon) shutdownTimeout() time.Duration { return time.Duration(d.shutdown.Load()) }

// engineOptions translates the settings that concern the daemon alone.
func (p *program) engineOptions() resource.Daemon {
	return resource.Daemon{Interval: p.settings.Interval, Watch: p.settings.Watch}
}

// noneUsable says what is wrong with every resource of a set.
func noneUsable(set *resource.Set) error {
	errs := make([]error, 0, len(set.Broken)+1)
	for _, b := range set.Broken {
		errs = append(errs, b.Err)
	}
	return errors.Join(append(errs, fmt.Errorf("none of the resources (%d) can be used", len(set.Broken)))...)
}
