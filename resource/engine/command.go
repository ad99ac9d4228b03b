package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// commandsAtOnce bounds the commands that run at one time over all units. It
	// is far above the number of processors, because a command mostly waits, and
	// one that hangs must not keep the other units from theirs.
	commandsAtOnce = 32
	// outputKept is how many bytes of a command's output are kept, its last.
	outputKept = 4 << 10
	// killGrace is how long a process group may take to react to TERM.
	killGrace = 5 * time.Second
	// killGraceAtOnce is the same when the program has to end at once.
	killGraceAtOnce = 500 * time.Millisecond
)

// ErrAtOnce is wrapped by the cause of a context of commands that ends because
// somebody does not want to wait: what runs gets half a second between TERM and
// KILL.
var ErrAtOnce = errors.New("to be ended at once")

// errStopping ends the work on a resource because the program ends, or because
// its unit is replaced. It is no failure: nothing was changed.
var errStopping = errors.New("the program is stopping")

// errTimeout is wrapped by the error of a command that ran for too long.
var errTimeout = errors.New("timed out")

// commandError says how a command failed, and holds what it printed.
type commandError struct {
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

// command runs a command of the unit, and returns how long it took. It is not
// begun once stop is done.
func (u *unit) command(stop, kill context.Context, line string, timeout time.Duration) (time.Duration, error) {
	defer u.live.beat()
	u.live.wait() // for the commands of others, each of which has its timeout
	select {
	case u.engine.slots <- struct{}{}:
	case <-stop.Done():
		return 0, errStopping
	}
	defer func() { <-u.engine.slots }()
	if stop.Err() != nil {
		return 0, errStopping
	}
	u.live.busy(timeout)
	u.log.Debug("running command", "cmd", line)
	return u.engine.run(kill, u.engine.options().Environ, line, timeout)
}

// commandRunner is runCommand, or what a simulation has in its place.
type commandRunner func(ctx context.Context, environ []string, line string, timeout time.Duration) (time.Duration, error)

// runCommand runs line by /bin/sh -c, without standard input and in a process
// group of its own. After timeout, or when ctx is done, the whole group gets
// TERM and, killGrace later, KILL; so the group is gone when runCommand returns.
// What a command that ended by itself left in the background stays: it may well
// be the proxy.
func runCommand(ctx context.Context, environ []string, line string, timeout time.Duration) (time.Duration, error) {
	output, err := outputFile()
	if err != nil {
		return 0, fmt.Errorf("keep the output of a command: %w", err)
	}
	defer output.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w after %s", errTimeout, timeout))
	defer cancel()
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Env = environ
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start /bin/sh: %w", err)
	}
	ended := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace := killGrace
		if errors.Is(context.Cause(ctx), ErrAtOnce) {
			grace = killGraceAtOnce
		}
		endGroup(cmd.Process.Pid, grace)
	})
	err = cmd.Wait()
	if !unwatch() {
		// Whatever it makes of TERM, it was not allowed to finish.
		<-ended
		err = context.Cause(ctx)
	}
	took := time.Since(start)
	if err != nil {
		return took, &commandError{err, tail(output)}
	}
	return took, nil
}

// outputFile returns a file without a name. A pipe would not do: a process that
// a command leaves behind, the proxy perhaps, goes on writing after nobody reads
// any more, and would die of it.
func outputFile() (*os.File, error) {
	const name = "output of a command"
	fd, err := unix.Open(os.TempDir(), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		// Without a folder for such a file the memory has to do.
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// tail returns the end of what was written to the file.
func tail(file *os.File) string {
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	from := max(0, info.Size()-outputKept)
	text, _ := io.ReadAll(io.NewSectionReader(file, from, outputKept)) // what can be read is better than nothing
	s := strings.TrimSpace(string(text))
	if from > 0 {
		s = "..." + s
	}
	return s
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

// FirstLine returns the first line of a command, for the log: the others are in
// the resource file.
func FirstLine(command string) string {
	first, rest, _ := strings.Cut(strings.TrimSpace(command), "\n")
	if rest != "" {
		first += " ..."
	}
	return first
}
