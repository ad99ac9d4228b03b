package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pc4patroni/resource"
)

// resourceOptions translates the settings for package resource.
func (p *program) resourceOptions(stores *stores) resource.Options {
	s := &p.settings
	return resource.Options{
		ConfDir:       s.ConfDir,
		Prefix:        s.Prefix,
		DestDir:       s.DestDir,
		Noop:          s.Noop,
		SyncOnly:      s.SyncOnly,
		KeepStageFile: s.KeepStageFile,
		Backend:       stores.key,
		Getenv:        p.forTemplates,
		Environ:       p.forCommands(),
		Diff:          p.changeText,
		Logger:        p.log,
	}
}

// privateVariables are those that neither templates nor commands see: the
// first holds a password, the others are a promise to systemd that only this
// process can keep.
var privateVariables = []string{"PC4PATRONI_PASSWORD", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}

// forTemplates is the environment as templates see it.
func (inv invocation) forTemplates(name string) string {
	if slices.Contains(privateVariables, name) {
		return ""
	}
	return inv.lookup(name)
}

// forCommands is the environment of commands.
func (inv invocation) forCommands() []string {
	return slices.DeleteFunc(slices.Clone(inv.environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(privateVariables, name)
	})
}

// oneTime applies every resource once. With Noop it prints what would change.
func (p *program) oneTime(ctx context.Context) error {
	stores := newStores(p.settings, p.log)
	opts := p.resourceOptions(stores)
	set, err := resource.Load(opts)
	if err != nil {
		return &configError{err}
	}
	hard, cancel := p.graceAfter(ctx, func() time.Duration { return p.settings.ShutdownTimeout })
	defer cancel()
	engine := resource.NewEngine(opts, resource.Daemon{}, stores.open)
	results := engine.Once(ctx, hard, set, p.settings.Wait)
	p.logUntold(results)
	if err := cutShort(hard); err != nil {
		return err
	}
	if p.settings.Noop {
		if err := p.printChanges(results); err != nil {
			return err
		}
	}
	return p.outcome(ctx, results)
}

// logUntold logs the failures that the engine leaves to its caller: resources
// that it never got to work on.
func (p *program) logUntold(results []resource.Result) {
	for _, r := range results {
		switch {
		case r.State == resource.Waiting:
			p.log.Error("resource not applied, its file stays as it is", "resource", r.Name, "dest", r.Dest, "err", r.Err)
		case r.State == resource.Failed && r.Dest == "":
			for mistake := range strings.SplitSeq(r.Err.Error(), "\n") {
				p.log.Error("resource cannot be used", "resource", r.Name, "err", mistake)
			}
		}
	}
}

// printChanges prints the diffs, and the commands that would follow.
func (p *program) printChanges(results []resource.Result) error {
	coloured := p.wantsColour(p.stdout)
	var reloads []string
	for _, r := range results {
		if r.Change == nil {
			continue
		}
		if err := printChange(p.stdout, r.Change, coloured); err != nil {
			return err
		}
		if r.Change.Reload != "" && !slices.Contains(reloads, r.Change.Reload) {
			reloads = append(reloads, r.Change.Reload)
		}
	}
	for _, command := range reloads {
		p.log.Info("would reload", "cmd", command)
	}
	return nil
}

// outcome says in one error how the resources fared: nil if all is well.
func (p *program) outcome(ctx context.Context, results []resource.Result) error {
	var failed, waiting, unusable, pending int
	for _, r := range results {
		switch r.State {
		case resource.Failed, resource.Held:
			failed++
		case resource.Waiting:
			waiting++
			if errors.Is(r.Err, resource.ErrUnusable) {
				unusable++
			}
		case resource.Pending:
			pending++
		}
	}
	switch {
	case unusable > 0:
		return &configError{fmt.Errorf("the backend of %d of %d resources cannot be used as it is set", unusable, len(results))}
	case failed > 0:
		return fmt.Errorf("%d of %d resources failed or are held", failed+waiting, len(results))
	case waiting > 0 && ctx.Err() != nil:
		return fmt.Errorf("interrupted: %d of %d resources not applied", waiting, len(results))
	case waiting > 0:
		return fmt.Errorf("%w: %d of %d resources not applied", errUnreachable, waiting, len(results))
	case pending > 0 && p.settings.ExitCode:
		return fmt.Errorf("%w in %d of %d resources", errPending, pending, len(results))
	}
	return nil
}
