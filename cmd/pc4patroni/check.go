package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"pc4patroni/internal/check"
	"pc4patroni/internal/config"
	"pc4patroni/resource"
)

// checked is what -check prints with -o json.
type checked struct {
	Resources []checkedResource `json:"resources"`
	Problems  []check.Problem   `json:"problems"`
}

type checkedResource struct {
	Name    string   `json:"name"`
	File    string   `json:"file"`
	Src     string   `json:"src"`
	Dest    string   `json:"dest"`
	Backend string   `json:"backend"`
	Keys    []string `json:"keys"`
}

// check reads configuration, resource files and templates, and reports what is
// wrong with them. It asks no etcd and changes no file.
func (p *program) check(ctx context.Context) error {
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
	printed := printChecked
	if p.settings.Output == "json" {
		printed = printCheckedJSON
	}
	if err := printed(out, set, problems); err != nil {
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

// printChecked prints what the good resources load, then a line for each problem.
func printChecked(w io.Writer, set *resource.Set, problems []check.Problem) error {
	for _, r := range set.Resources {
		isBad := func(p check.Problem) bool { return p.Resource == r.Name && p.Level == check.Error }
		if slices.ContainsFunc(problems, isBad) {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: ok, %s -> %s\n    keys %s in %s\n", r.File, r.Src, r.Dest, strings.Join(r.Keys, " "), r.Backend); err != nil {
			return err
		}
	}
	for _, problem := range problems {
		if _, err := fmt.Fprintln(w, problem); err != nil {
			return err
		}
	}
	return nil
}

func printCheckedJSON(w io.Writer, set *resource.Set, problems []check.Problem) error {
	all := checked{Resources: []checkedResource{}, Problems: append([]check.Problem{}, problems...)}
	for _, r := range set.Resources {
		all.Resources = append(all.Resources, checkedResource{r.Name, r.File, r.Src, r.Dest, r.Backend, append([]string{}, r.Keys...)})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(all)
}
