package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pc4patroni/resource"
)

// secondSignal is the error of a run that a user did not want to wait for.
type secondSignal struct{ signal syscall.Signal }

func (e *secondSignal) Error() string {
	return fmt.Sprintf("ended at once by a second signal (%s)", e.signal)
}

// Unwrap has running commands killed soon.
func (e *secondSignal) Unwrap() error { return resource.ErrAtOnce }

// status is what a shell would report had the signal ended the process itself.
func (e *secondSignal) status() int { return 128 + int(e.signal) }

// graceAfter returns a context for the commands that run when stop is done: it
// ends grace later, or with the next SIGTERM or SIGINT, which is its cause
// then as a *secondSignal. One signal more ends the process as if nobody
// handled it.
func (p *program) graceAfter(stop context.Context, grace func() time.Duration) (context.Context, context.CancelFunc) {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(stop))
	unwatch := context.AfterFunc(stop, func() {
		second := make(chan os.Signal, 1)
		signal.Notify(second, syscall.SIGINT, syscall.SIGTERM)
		defer signal.Stop(second)
		timer := time.NewTimer(grace())
		defer timer.Stop()
		p.log.Info("stopping, running commands may finish", "reason", context.Cause(stop), "within", grace())
		select {
		case s := <-second:
			cancel(&secondSignal{s.(syscall.Signal)})
		case <-timer.C:
			cancel(fmt.Errorf("not done %s after the signal to end", grace()))
		case <-hard.Done():
		}
	})
	return hard, func() {
		unwatch()
		cancel(nil)
	}
}

// cutShort returns the *secondSignal that ended hard, or nil.
func cutShort(hard context.Context) error {
	if s, ok := context.Cause(hard).(*secondSignal); ok {
		return s
	}
	return nil
}

// outliveReaders has writes to a pipe that nobody reads fail, where by default
// those to standard error end the process: a daemon must not go down with the
// program that collects its log. Children are not affected.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
