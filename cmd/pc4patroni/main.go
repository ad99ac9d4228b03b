// Command pc4patroni rewrites the configuration of proxies when a Patroni
// cluster changes, and reloads them.
//
// This package connects the rooms: settings (internal/config) become backends,
// a mode and an exit status. There is a file for each mode. It alone reads the
// environment, handles signals and ends the process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"pc4patroni/internal/config"
	"pc4patroni/internal/logging"
	"pc4patroni/internal/report"
)

func main() {
	os.Exit(run(os.Args, os.Environ(), os.Stdout, os.Stderr))
}

// run is the whole program: args begins with the name by which it was called,
// environ is as from os.Environ. It returns the exit status, which is decided
// here and nowhere else.
func run(args, environ []string, stdout, stderr io.Writer) int {
	inv := config.Invocation{Name: "pc4patroni", Environ: environ}
	if len(args) > 0 {
		inv.Name, inv.Args = filepath.Base(args[0]), args[1:]
	}
	p := &program{Invocation: inv, level: new(slog.LevelVar), stdout: stdout, stderr: stderr}
	err := p.run()
	if err == nil {
		return exitOK
	}
	logging.Fatal(stderr, inv.Name, p.logFormat, inv.Getenv("JOURNAL_STREAM"), err)
	return exitStatus(err)
}

// program is one run with its settings.
type program struct {
	config.Invocation
	settings       *config.Settings
	logFormat      string // does not change with the settings
	log            *slog.Logger
	level          *slog.LevelVar // of log
	stdout, stderr io.Writer
	signals        *signals
	backends       atomic.Pointer[config.Backends] // by the names in the resources
}

// run does what the settings ask for. Its error is the last thing that the
// user reads: what happened to each resource is in the log.
func (p *program) run() error {
	settings, warnings, err := p.Load()
	if errors.Is(err, flag.ErrHelp) {
		return p.WriteHelp(p.stdout)
	}
	if err != nil {
		if _, ok := errors.AsType[*config.UsageError](err); ok {
			err = fmt.Errorf("%w; see %s -help", err, p.Name)
		}
		return &configError{err}
	}
	p.settings, p.logFormat = settings, settings.LogFormat
	p.level.Set(settings.LogLevel)
	p.log = logging.New(p.stderr, settings.LogFormat, p.level, p.Getenv("JOURNAL_STREAM"))
	p.warn(warnings)
	p.backends.Store(config.NewBackends(settings))
	signalLog := slog.New(slog.DiscardHandler) // nothing runs that would have to finish
	if settings.Mode == config.OneTime || settings.Mode == config.Daemon {
		signalLog = p.log
	}
	p.signals = watchSignals(settings.ShutdownTimeout, signalLog)
	defer p.signals.release()
	return p.signals.await(func(stop, kill context.Context) error {
		switch settings.Mode {
		case config.Version:
			_, err := fmt.Fprintln(p.stdout, report.ReadBuild())
			return err
		case config.Check:
			return p.check(stop)
		case config.Sample:
			return p.sample()
		case config.Show:
			return p.show(stop)
		case config.Dump:
			return p.dump(stop)
		case config.OneTime:
			return p.oneTime(stop, kill)
		default:
			return p.daemon(stop, kill)
		}
	})
}

func (p *program) warn(warnings []string) {
	for _, warning := range warnings {
		p.log.Warn("configuration warning", "why", warning)
	}
}
