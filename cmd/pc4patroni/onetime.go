package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"pc4patroni/internal/config"
	"pc4patroni/resource"
	"pc4patroni/resource/engine"
)

// load reads the resources, and gives their backends names. Its error is a
// *configError.
func (p *program) load(s *config.Settings, named *config.Backends) (*resource.Set, error) {
	set, err := resource.Load(resource.Options{
		ConfDir: s.ConfDir,
		Prefix:  s.Prefix,
		DestDir: s.DestDir,
		Backend: named.Name,
		Logger:  p.log,
	})
	if err != nil {
		return nil, &configError{err}
	}
	return set, nil
}

// engineOptions translates the settings for package engine.
func (p *program) engineOptions(s *config.Settings) engine.Options {
	environment := p.forOthers()
	return engine.Options{
		Interval:      s.Interval,
		Watch:         s.Watch,
		Noop:          s.Noop,
		SyncOnly:      s.SyncOnly,
		KeepStageFile: s.KeepStageFile,
		DestDir:       s.DestDir,
		Getenv:        environment.Getenv,
		Environ:       environment.Environ,
		Open:          p.open,
		Logger:        p.log,
	}
}

// privateVariables are those that neither templates nor commands see: the
// first holds a password, the others are a promise to systemd that only this
// process can keep.
var privateVariables = []string{"PC4PATRONI_PASSWORD", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}

// forOthers holds the environment as templates and commands see it.
func (p *program) forOthers() config.Invocation {
	return config.Invocation{Environ: slices.DeleteFunc(slices.Clone(p.Environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(privateVariables, name)
	})}
}

// oneTime applies every resource once. With Noop it prints what would change.
func (p *program) oneTime(stop, kill context.Context) error {
	set, err := p.load(p.settings, p.backends.Load())
	if err != nil {
		return err
	}
	results := engine.New(p.engineOptions(p.settings)).Once(stop, kill, set, p.settings.Wait)
	p.logReasons(results)
	p.logNeighbours(stop, results)
	if err := cutShort(kill); err != nil {
		return err
	}
	if p.settings.Noop {
		if err := p.printChanges(results); err != nil {
			return err
		}
	}
	return p.outcome(stop, results)
}

// logReasons logs the failures that the engine does not: of resources that it
// never got to work on, and those that its log level hides.
func (p *program) logReasons(results []engine.ResourceStatus) {
	for _, r := range results {
		switch {
		case r.State == engine.Waiting:
			p.log.Error("resource not applied, its file stays as it is", "resource", r.Name, "dest", r.Dest, "err", r.Err)
		case r.State == engine.Failed && r.Dest == "":
			for mistake := range strings.SplitSeq(r.Err.Error(), "\n") {
				p.log.Error("resource cannot be used", "resource", r.Name, "err", mistake)
			}
		case r.State == engine.Held && !p.log.Enabled(context.Background(), slog.LevelWarn):
			p.log.Error("resource held, its file stays as it is", "resource", r.Name, "dest", r.Dest, "err", r.Err)
		}
	}
}

// printChanges prints the diffs, the commands that would follow, and a summary.
func (p *program) printChanges(results []engine.ResourceStatus) error {
	coloured := p.wantsColour()
	var reloads []string
	changes, inSync := 0, 0
	for _, r := range results {
		if r.State == engine.InSync {
			inSync++
		}
		if r.Change == nil {
			continue
		}
		changes++
		if err := printChange(p.stdout, r.Change, coloured); err != nil {
			return err
		}
		if r.Change.Reload != "" && !slices.Contains(reloads, r.Change.Reload) {
			reloads = append(reloads, r.Change.Reload)
		}
	}
	for _, command := range reloads {
		p.log.Info("would reload", "cmd", engine.FirstLine(command))
	}
	p.log.Info("nothing was changed", "would_change", changes, "would_reload", len(reloads), "in_sync", inSync)
	return nil
}

// outcome says in one error how the resources fared: nil if all is well.
func (p *program) outcome(stop context.Context, results []engine.ResourceStatus) error {
	var failed, waiting, unusable, pending int
	for _, r := range results {
		switch r.State {
		case engine.Failed, engine.Held:
			failed++
		case engine.Waiting:
			waiting++
			if errors.Is(r.Err, engine.ErrUnusable) {
				unusable++
			}
		case engine.Pending:
			pending++
		}
	}
	switch {
	case unusable > 0:
		return &configError{fmt.Errorf("%d of %d resources have a backend whose settings cannot work", unusable, len(results))}
	case failed > 0:
		return fmt.Errorf("%d of %d resources failed or are held", failed+waiting, len(results))
	case waiting > 0 && stop.Err() != nil:
		return fmt.Errorf("interrupted: %d of %d resources not applied", waiting, len(results))
	case waiting > 0:
		return fmt.Errorf("%w: %d of %d resources not applied", errUnreachable, waiting, len(results))
	case pending > 0 && p.settings.ExitCode:
		return fmt.Errorf("%w in %d of %d resources", errPending, pending, len(results))
	}
	return nil
}
