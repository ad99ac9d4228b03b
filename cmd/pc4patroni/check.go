package main

import (
	"context"
	"fmt"
	"path/filepath"

	"pc4patroni/internal/check"
	"pc4patroni/internal/statuspage"
)

// check reads configuration, resource files and templates, and reports what is
// wrong with them. It asks no etcd and changes no file.
func (p *program) check(ctx context.Context) error {
	if err := statuspage.CheckAccess(p.settings.WebConfigFile); err != nil {
		return &configError{err}
	}
	set, err := p.load(p.settings, p.backends.Load())
	if err != nil {
		return err
	}
	problems := check.Set(ctx, set, check.Options{
		TemplateDir: filepath.Join(p.settings.ConfDir, "templates"),
		DestDir:     p.settings.DestDir,
		FromConfd:   p.CalledConfd(),
		Open:        p.open,
		Getenv:      p.forOthers().Getenv,
	})
	print := check.Print
	if p.settings.Output == "json" {
		print = check.PrintJSON
	}
	if err := print(p.stdout, set, problems); err != nil {
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
