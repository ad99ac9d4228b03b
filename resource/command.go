package resource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// outputKept is how many bytes of a command's output are kept, its last.
	outputKept = 4 << 10
	// killGrace is how long a process group may take to react to TERM.
	killGrace = 5 * time.Second
	// killHaste is the same when the program has to end at once.
	killHaste = 500 * time.Millisecond
	// outputGrace is how long the output of a command that has exited is
	// still read: a process that it left in the background may hold it open
	// for ever.
	outputGrace = 250 * time.Millisecond
)

// ErrAtOnce is wrapped by the cause of a context of commands that ends because
// somebody does not want to wait: what runs gets half a second between TERM and
// KILL.
var ErrAtOnce = errors.New("to be ended at once")

// errTimeout is wrapped by the error of a command that ran for too long.
var errTimeout = errors.New("timed out")

// commandError says how a command failed, and holds what it printed.
type commandError struct {
	line   string // the command itself
	err    error
	output string
}

func (e *commandError) Error() string { return e.err.Error() }

func (e *commandError) Unwrap() error { return e.err }

// outputOf returns what the command behind err printed, or "".
func outputOf(err error) string {
	if ce, ok := errors.AsType[*commandError](err); ok {
		return ce.output
	}
	return ""
}

// commands runs shell commands, a bounded number of them at once. It may be
// used by several goroutines.
type commands struct {
	environ []string
	slots   chan struct{}
}

func newCommands(environ []string, atOnce int) *commands {
	return &commands{environ: environ, slots: make(chan struct{}, atOnce)}
}

// run runs line by /bin/sh -c, without standard input and in a process group
// of its own. After timeout, or when ctx is done, the whole group gets TERM
// and, killGrace later, KILL; so the group is gone when run returns. What a
// command that ended by itself left in the background stays: it may well be
// the proxy. It returns how long the command ran, without the wait for a slot.
func (c *commands) run(ctx context.Context, line string, timeout time.Duration) (time.Duration, error) {
	if err := c.acquire(context.Background(), ctx); err != nil {
		return 0, err
	}
	defer c.release()
	return c.runNow(ctx, line, timeout)
}

// acquire waits until a command may begin, unless stop or ctx is done before.
func (c *commands) acquire(stop, ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-stop.Done():
		return errStopping
	case <-ctx.Done():
		return fmt.Errorf("not started: %w", context.Cause(ctx))
	}
}

func (c *commands) release() { <-c.slots }

// runNow is run for a caller that has acquired.
func (c *commands) runNow(ctx context.Context, line string, timeout time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w after %s", errTimeout, timeout))
	defer cancel()
	var output tail
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Env = c.environ
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = outputGrace

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start /bin/sh: %w", err)
	}
	ended := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace := killGrace
		if errors.Is(context.Cause(ctx), ErrAtOnce) {
			grace = killHaste
		}
		endGroup(cmd.Process.Pid, grace)
	})
	err := cmd.Wait()
	cut := !unwatch()
	if cut {
		<-ended
	}
	took := time.Since(start)
	switch {
	case cut:
		// Whatever it makes of TERM, it was not allowed to finish.
		err = context.Cause(ctx)
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return took, nil
	}
	return took, &commandError{line, err, output.String()}
}

// endGroup sends TERM to a process group and KILL to what is left of it after
// the grace. It returns once no process of the group can run any more.
func endGroup(pgid int, grace time.Duration) {
	if syscall.Kill(-pgid, syscall.SIGTERM) != nil {
		return
	}
	deadline := time.Now().Add(grace)
	for pause := time.Millisecond; time.Now().Before(deadline); pause = min(2*pause, 100*time.Millisecond) {
		time.Sleep(pause)
		if errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH) {
			return
		}
	}
	_ = syscall.Kill(-pgid, syscall.SIGKILL) // gone meanwhile is as good
}

// tail keeps the last outputKept bytes that are written to it. os/exec may
// still write while the owner reads, hence the lock.
type tail struct {
	mu      sync.Mutex
	data    []byte
	dropped bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > outputKept {
		p, t.dropped = p[len(p)-outputKept:], true
	}
	if over := len(t.data) + len(p) - outputKept; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
		t.dropped = true
	}
	t.data = append(t.data, p...)
	return n, nil
}

// ReadFrom is what os/exec uses in place of a buffer of 32 KiB for each command,
// most of which print nothing. With a thousand reloads at a start those were a
// quarter of all that was allocated.
func (t *tail) ReadFrom(r io.Reader) (int64, error) {
	buf := make([]byte, 1<<10)
	for total := int64(0); ; {
		n, err := r.Read(buf)
		_, _ = t.Write(buf[:n]) // never fails
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.TrimSpace(string(t.data))
	if t.dropped {
		s = "..." + s
	}
	return s
}
