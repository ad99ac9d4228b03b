package engine

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
	environ := []string{"GREETING=hello"}
	out := filepath.Join(t.TempDir(), "out")
	if _, err := runCommand(t.Context(), environ, `read line; echo "$GREETING $line." >`+out, time.Minute); err != nil {
		t.Fatal(err)
	}
	// Standard input is empty: read sees its end at once.
	if got, want := readFile(t, out), "hello .\n"; got != want {
		t.Errorf("command wrote %q, want %q", got, want)
	}
}

func TestCommandFailureKeepsLastOutput(t *testing.T) {
	var environ []string
	_, err := runCommand(t.Context(), environ, `i=0; while [ $i -lt 1000 ]; do echo "line $i"; i=$((i+1)); done; echo bad >&2; exit 7`, time.Minute)
	if err == nil || err.Error() != "exit status 7" {
		t.Fatalf("err = %v, want exit status 7", err)
	}
	output := outputOf(err)
	if len(output) > outputKept+3 || !strings.HasPrefix(output, "...") || !strings.HasSuffix(output, "line 999\nbad") {
		t.Errorf("output of %d bytes starts %.20q and ends %q", len(output), output, output[max(0, len(output)-20):])
	}
}

func TestCommandTimeoutEndsTheWholeGroup(t *testing.T) {
	environ := os.Environ()
	pidFile := filepath.Join(t.TempDir(), "pid")
	_, err := runCommand(t.Context(), environ, `sleep 600 & echo $! >`+pidFile+`; echo started; wait`, 200*time.Millisecond)
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
	environ := os.Environ()
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		waitFor(t, "the command to start", func() bool { return exists(filepath.Join(dir, "started")) })
		cancel(errors.New("stopping"))
	}()
	_, err := runCommand(ctx, environ, `trap 'sleep 0.5; echo done >`+dir+`/cleaned; exit 1' TERM; touch `+dir+`/started; while :; do sleep 0.05; done`, time.Minute)
	if err == nil || err.Error() != "stopping" {
		t.Errorf("err = %v, want stopping", err)
	}
	if !exists(filepath.Join(dir, "cleaned")) {
		t.Error("the command was killed before it had reacted to TERM")
	}
}

func TestCommandLeavesBackgroundProcessAlone(t *testing.T) {
	environ := os.Environ()
	pidFile := filepath.Join(t.TempDir(), "pid")
	if _, err := runCommand(t.Context(), environ, `sleep 600 & echo $! >`+pidFile, time.Minute); err != nil {
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

// TestCommandEndsAtOnce has a command that does not react to TERM, and a user
// who does not wait.
func TestCommandEndsAtOnce(t *testing.T) {
	environ := os.Environ()
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	var signalled time.Time
	go func() {
		waitFor(t, "the command to start", func() bool { return exists(filepath.Join(dir, "pid")) })
		signalled = time.Now()
		cancel(fmt.Errorf("a second signal: %w", ErrAtOnce))
	}()
	_, err := runCommand(ctx, environ, `trap '' TERM; echo $$ >`+dir+`/new && mv `+dir+`/new `+dir+`/pid; while :; do sleep 0.05; done`, time.Minute)
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
	environ := os.Environ()
	_, err := runCommand(t.Context(), environ, `trap 'exit 0' TERM; sleep 600 & wait`, 200*time.Millisecond)
	if !errors.Is(err, errTimeout) {
		t.Errorf("err = %v, want a timeout", err)
	}
}
