package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestSignalsEndAnyMode sends two signals to a mode that takes no notice of
// either: the first asks it to stop, the second is not swallowed and ends it.
func TestSignalsEndAnyMode(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s := watchSignals(time.Hour, slog.New(slog.DiscardHandler))
	defer s.release()
	over := make(chan struct{})
	gone := make(chan struct{})
	err = s.await(func(stop, kill context.Context) error {
		defer close(gone)
		for _, step := range []struct {
			signal os.Signal
			ctx    context.Context
		}{{syscall.SIGINT, stop}, {syscall.SIGTERM, kill}} {
			if step.ctx.Err() != nil {
				t.Errorf("done before %s", step.signal)
			}
			if err := self.Signal(step.signal); err != nil {
				t.Error(err)
			}
			<-step.ctx.Done()
		}
		<-over
		return nil
	})
	close(over)
	<-gone
	second, ok := errors.AsType[*secondSignal](err)
	if !ok || second.status() != 128+int(syscall.SIGTERM) {
		t.Errorf("got %v, want the second signal", err)
	}
}
