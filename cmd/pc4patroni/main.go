// Command pc4patroni keeps the configuration files of proxies true to the
// clusters that Patroni describes in etcd.
//
// This package holds what surrounds the engine: flags, configuration file and
// environment become settings, settings become backends, a mode and an exit
// status. It alone reads the environment, handles signals and ends the
// process. What is done to files is in package resource.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
)

// Exit statuses.
const (
	exitOK      = 0 // all in sync or applied
	exitFailed  = 1 // a resource failed or is held
	exitUsage   = 2 // usage or configuration
	exitBackend = 3 // the backend could not be reached
	exitPending = 4 // changes are pending (-noop -exit-code)
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the process at once, unless a
	// command has to be ended first: see graceAfter.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: args begins with the name by which it was called,
// environ is as from os.Environ. It returns the exit status, which is decided
// here and nowhere else.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	inv := invocation{name: "pc4patroni", environ: environ}
	if len(args) > 0 {
		inv.name, inv.args = filepath.Base(args[0]), args[1:]
	}
	err := inv.run(ctx, stdin, stdout, stderr)
	if err == nil {
		return exitOK
	}
	text := err.Error()
	if _, ok := errors.AsType[*usageError](err); ok {
		text += "; see " + inv.name + " -help"
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(stderr, "%s: %s\n", inv.name, line)
	}
	_, config := errors.AsType[*configError](err)
	cut, atOnce := errors.AsType[*secondSignal](err)
	switch {
	case atOnce:
		return cut.status()
	case config:
		return exitUsage
	case errors.Is(err, errUnreachable):
		return exitBackend
	case errors.Is(err, errPending):
		return exitPending
	default:
		return exitFailed
	}
}

// run does what the settings ask for. Its error is the last thing that the
// user reads: what happened to each resource is in the log.
func (inv invocation) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	s, warnings, err := inv.load()
	if errors.Is(err, flag.ErrHelp) {
		return inv.printHelp(stdout)
	}
	if err != nil {
		return &configError{err}
	}
	if s.Version {
		info, ok := debug.ReadBuildInfo()
		if !ok {
			return errors.New("this program was built without build information")
		}
		_, err := fmt.Fprintln(stdout, versionLine(info))
		return err
	}
	level := new(slog.LevelVar)
	level.Set(s.LogLevel)
	log := newLogger(stderr, s.LogFormat, level, inv.lookup("JOURNAL_STREAM"))
	for _, warning := range warnings {
		log.Warn("doubtful configuration", "why", warning)
	}
	p := &program{invocation: inv, settings: s, log: log, level: level, stdout: stdout}
	switch {
	case s.Check:
		return p.check()
	case s.Show:
		return p.show(ctx)
	case s.Dump != "":
		return p.dump(ctx)
	case s.OneTime:
		return p.oneTime(ctx)
	default:
		return p.daemon(ctx)
	}
}

// program is one run with its settings.
type program struct {
	invocation
	settings settings
	log      *slog.Logger
	level    *slog.LevelVar // of log
	stdout   io.Writer
	// changeText makes what the status page shows of a change; nil without page.
	changeText func(old, now []byte, public bool) string
}

// configError is an error in the configuration: nothing was tried.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }

func (e *configError) Unwrap() error { return e.err }

// What the error of a mode wraps, for the exit status.
var (
	errUnreachable = errors.New("the backend could not be reached")
	errPending     = errors.New("changes are pending")
)
