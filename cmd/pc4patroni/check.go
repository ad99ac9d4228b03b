package main

import (
	"bufio"
	"context"
	"fmt"
	"path/filepath"

	"pc4patroni/internal/check"
	"pc4patroni/internal/config"
	"pc4patroni/internal/statuspage"
	"pc4patroni/resource"
)

// check reads configuration, resource files and templates, and reports what is
// wrong with them. It asks no etcd and changes no file.
func (p *program) check(ctx context.Context) error {
	if err := statuspage.CheckAccess(p.settings.WebConfigFile); err != nil {
		return &configError{err}
	}
	named := config.NewBackends(p.settings)
	set, err := resource.Load(p.resourceOptions(p.settings, named))
	if err != nil {
		return &configError{err}
	}
	problems := check.Set(ctx, set, check.Options{
		TemplateDir: filepath.Join(p.settings.ConfDir, "templates"),
		DestDir:     p.settings.DestDir,
		FromConfd:   p.CalledConfd(),
		Open:        opener(named, p.log),
		InFile: func(name string) bool {
			b, ok := named.Get(name)
			return ok && b.Kind == "file"
		},
		Getenv: p.forTemplates,
	})
	out := bufio.NewWriter(p.stdout)
	print := check.Print
	if p.settings.Output == "json" {
		print = check.PrintJSON
	}
	if err := print(out, set, problems); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	errors := 0
	for _, problem := range problems {
		if problem.Level == check.Error {
			errors++
		}
	}
	if errors > 0 {
		return &configError{fmt.Errorf("errors found: %d", errors)}
	}
	return nil
}
