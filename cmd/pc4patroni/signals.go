package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"pc4patroni/resource/engine"
)

// How long a mode may take to end after its commands had to, when nobody waits
// and when somebody does. Only a mode that hangs takes that long.
const (
	endsWithin       = 10 * time.Second
	endsAtOnceWithin = 2 * time.Second
)

// signals turns SIGINT and SIGTERM into two contexts. stop is done at the first
// signal: nothing new is started. kill is done at the second one, or when
// running commands had their time: they are killed. A third signal ends the
// process as if nobody handled it.
type signals struct {
	stop, kill context.Context
	grace      atomic.Int64 // nanoseconds, from stop to kill
	release    func()       // ends the watching
}

// watchSignals handles SIGINT and SIGTERM until release is called. Nobody else
// in the program does.
func watchSignals(grace time.Duration, log *slog.Logger) *signals {
	received := make(chan os.Signal, 2)
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM)
	stop, cancelStop := context.WithCancelCause(context.Background())
	kill, cancelKill := context.WithCancelCause(context.Background())
	s := &signals{stop: stop, kill: kill}
	s.grace.Store(int64(grace))
	released := make(chan struct{})
	var watching sync.WaitGroup
	s.release = func() {
		close(released)
		watching.Wait()
	}
	watching.Go(func() {
		defer signal.Stop(received)
		select {
		case first := <-received:
			cancelStop(fmt.Errorf("%s signal received", first))
		case <-released:
			return
		}
		grace := time.Duration(s.grace.Load())
		log.Info("stopping, running commands may finish", "reason", context.Cause(stop), "within", grace)
		select {
		case second := <-received:
			cancelKill(&secondSignal{second.(syscall.Signal)})
		case <-time.After(grace):
			cancelKill(fmt.Errorf("still running %s after the signal", grace))
		case <-released:
		}
	})
	return s
}

// await runs a mode. Once its commands are killed it has to end soon, or it is
// not waited for.
func (s *signals) await(mode func(stop, kill context.Context) error) error {
	ended := make(chan error, 1)
	go func() { ended <- mode(s.stop, s.kill) }()
	select {
	case err := <-ended:
		return err
	case <-s.kill.Done():
	}
	within := endsWithin
	if cutShort(s.kill) != nil {
		within = endsAtOnceWithin
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(within):
		return errors.Join(cutShort(s.kill), errors.New("gave up waiting for something that hangs; the next start cleans up after it"))
	}
}

// secondSignal is the error of a run that a user did not want to wait for.
type secondSignal struct{ signal syscall.Signal }

func (e *secondSignal) Error() string {
	return fmt.Sprintf("ended at once by a second signal (%s)", e.signal)
}

// Unwrap has running commands killed soon.
func (e *secondSignal) Unwrap() error { return engine.ErrAtOnce }

// status is what a shell would report had the signal ended the process itself.
func (e *secondSignal) status() int { return 128 + int(e.signal) }

// cutShort returns the *secondSignal that ended kill, or nil.
func cutShort(kill context.Context) error {
	if s, ok := errors.AsType[*secondSignal](context.Cause(kill)); ok {
		return s
	}
	return nil
}

// outliveReaders has writes to a pipe that nobody reads fail, where by default
// those to standard error end the process: a daemon must not go down with the
// program that collects its log. Children are not affected.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
