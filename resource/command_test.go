package resource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCommandSuccess(t *testing.T) {
	c := newCommands([]string{"GREETING=hello"}, 1)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := c.run(t.Context(), `read line; echo "$GREETING $line." >`+out, time.Minute); err != nil {
		t.Fatal(err)
	}
	// Standard input is empty: read sees its end at once.
	if got, want := readFile(t, out), "hello .\n"; got != want {
		t.Errorf("command wrote %q, want %q", got, want)
	}
}

func TestCommandFailureKeepsLastOutput(t *testing.T) {
	c := newCommands(nil, 1)
	_, err := c.run(t.Context(), `i=0; while [ $i -lt 1000 ]; do echo "line $i"; i=$((i+1)); done; echo bad >&2; exit 7`, time.Minute)
	if err == nil || err.Error() != "exit status 7" {
		t.Fatalf("err = %v, want exit status 7", err)
	}
	output := outputOf(err)
	if len(output) > outputKept+3 || !strings.HasPrefix(output, "...") || !strings.HasSuffix(output, "line 999\nbad") {
		t.Errorf("output of %d bytes starts %.20q and ends %q", len(output), output, output[max(0, len(output)-20):])
	}
}

func TestCommandTimeoutEndsTheWholeGroup(t *testing.T) {
	c := newCommands(os.Environ(), 1)
	pidFile := filepath.Join(t.TempDir(), "pid")
	_, err := c.run(t.Context(), `sleep 600 & echo $! >`+pidFile+`; echo started; wait`, 200*time.Millisecond)
	if !errors.Is(err, errTimeout) || err.Error() != "timed out after 200ms" {
		t.Fatalf("err = %v, want a timeout", err)
	}
	if got := outputOf(err); got != "started" {
		t.Errorf("output = %q, want %q", got, "started")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, pidFile)))
	if err != nil {
		t.Fatal(err)
	}
	if err := waitGone(t, pid); err != nil {
		t.Error(err)
	}
}

func TestCommandMayFinishAfterTerm(t *testing.T) {
	c := newCommands(os.Environ(), 1)
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		waitFor(t, "the command to start", func() bool { return exists(filepath.Join(dir, "started")) })
		cancel(errors.New("stopping"))
	}()
	_, err := c.run(ctx, `trap 'sleep 0.5; echo done >`+dir+`/cleaned; exit 1' TERM; touch `+dir+`/started; while :; do sleep 0.05; done`, time.Minute)
	if err == nil || err.Error() != "stopping" {
		t.Errorf("err = %v, want stopping", err)
	}
	if !exists(filepath.Join(dir, "cleaned")) {
		t.Error("the command was killed before it had reacted to TERM")
	}
}

func TestCommandLeavesBackgroundProcessAlone(t *testing.T) {
	c := newCommands(os.Environ(), 1)
	pidFile := filepath.Join(t.TempDir(), "pid")
	if _, err := c.run(t.Context(), `sleep 600 & echo $! >`+pidFile, time.Minute); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, pidFile)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the background process is gone: %v", err)
	}
}

func TestCommandsAreBounded(t *testing.T) {
	c := newCommands(os.Environ(), 1)
	dir := t.TempDir()
	first := make(chan error)
	go func() {
		_, err := c.run(t.Context(), `touch `+dir+`/first; while [ ! -e `+dir+`/go ]; do sleep 0.01; done`, time.Minute)
		first <- err
	}()
	waitFor(t, "the first command", func() bool { return exists(filepath.Join(dir, "first")) })
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopping"))
	if _, err := c.run(ctx, `touch `+dir+`/second`, time.Minute); err == nil || err.Error() != "not started: stopping" {
		t.Errorf("err = %v, want not started", err)
	}
	if exists(filepath.Join(dir, "second")) {
		t.Error("the second command ran beside the first")
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// TestCommandEndsAtOnce has a command that does not react to TERM, and a user
// who does not wait.
func TestCommandEndsAtOnce(t *testing.T) {
	c := newCommands(os.Environ(), 1)
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	var signalled time.Time
	go func() {
		waitFor(t, "the command to start", func() bool { return exists(filepath.Join(dir, "pid")) })
		signalled = time.Now()
		cancel(fmt.Errorf("a second signal: %w", ErrAtOnce))
	}()
	_, err := c.run(ctx, `trap '' TERM; echo $$ >`+dir+`/new && mv `+dir+`/new `+dir+`/pid; while :; do sleep 0.05; done`, time.Minute)
	if !errors.Is(err, ErrAtOnce) {
		t.Fatalf("err = %v, want the cause", err)
	}
	if took := time.Since(signalled); took >= killGrace {
		t.Errorf("the command was given %v", took)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, filepath.Join(dir, "pid"))))
	if err != nil {
		t.Fatal(err)
	}
	if err := waitGone(t, pid); err != nil {
		t.Error(err)
	}
}

// A command that makes the best of TERM was cut off all the same.
func TestCommandCutOffIsNoSuccess(t *testing.T) {
	c := newCommands(os.Environ(), 1)
	_, err := c.run(t.Context(), `trap 'exit 0' TERM; sleep 600 & wait`, 200*time.Millisecond)
	if !errors.Is(err, errTimeout) {
		t.Errorf("err = %v, want a timeout", err)
	}
}
