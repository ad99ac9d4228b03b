package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pc4patroni/backends"
	"pc4patroni/internal/config"
	"pc4patroni/resource"
)

// check reads configuration, resource files and templates, and reports what is
// wrong with them. It asks no backend and touches no file.
func (p *program) check() error {
	named := config.NewBackends(p.settings)
	set, err := resource.Load(p.resourceOptions(p.settings, named))
	if err != nil {
		return &configError{err}
	}
	var problems []error
	for _, broken := range set.Broken {
		problems = append(problems, broken.Err)
	}
	problems = append(problems, checkBackends(set.Resources, opener(named, p.log))...)
	out := bufio.NewWriter(p.stdout)
	for _, r := range set.Resources {
		fmt.Fprintf(out, "%s: ok, %s -> %s\n", r.File, r.Src, r.Dest)
		fmt.Fprintf(out, "    keys %s in %s\n", strings.Join(r.Keys, " "), r.Backend)
		for _, warning := range slices.Concat(warnings(r), r.Warnings(p.CalledConfd())) {
			fmt.Fprintf(out, "    warning: %s\n", warning)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if len(problems) > 0 {
		return &configError{errors.Join(problems...)}
	}
	return nil
}

// checkBackends makes every backend that the resources name, which reads
// certificates and passwords but connects to nothing.
func checkBackends(resources []*resource.Resource, open func(name string) (backends.Backend, error)) []error {
	var problems []error
	names := make(map[string]bool)
	for _, r := range resources {
		names[r.Backend] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		backend, err := open(name)
		if err == nil {
			err = backend.Close()
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	return problems
}

// warnings says what is allowed in a resource but rarely meant.
func warnings(r *resource.Resource) []string {
	var found []string
	// Commands have no other data than .src and .dest.
	if r.CheckCmd != "" && !strings.Contains(r.CheckCmd, ".src") {
		found = append(found, "check_cmd does not mention {{.src}}, so it does not see the new file before it is installed")
	}
	if r.CheckCmd == "" && r.ReloadCmd != "" {
		found = append(found, "there is no check_cmd: a file that the proxy refuses would be installed all the same")
	}
	return found
}
