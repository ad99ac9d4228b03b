package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pc4patroni/resource"
)

// check reads configuration, resource files and templates, and reports what is
// wrong with them. It asks no backend and touches no file.
func (p *program) check() error {
	stores := newStores(p.settings, p.log)
	set, err := resource.Load(p.resourceOptions(stores))
	if err != nil {
		return &configError{err}
	}
	var problems []error
	for _, broken := range set.Broken {
		problems = append(problems, broken.Err)
	}
	problems = append(problems, stores.check(set.Resources)...)
	out := bufio.NewWriter(p.stdout)
	for _, r := range set.Resources {
		fmt.Fprintf(out, "%s: ok, %s -> %s\n", r.File, r.Src, r.Dest)
		fmt.Fprintf(out, "    keys %s in %s\n", strings.Join(r.Paths, " "), r.Backend)
		for _, doubt := range doubts(r) {
			fmt.Fprintf(out, "    warning: %s\n", doubt)
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

// check makes every backend that the resources name, which reads certificates
// and passwords but connects to nothing.
func (s *stores) check(resources []*resource.Resource) []error {
	var problems []error
	keys := make(map[string]bool)
	for _, r := range resources {
		keys[r.Backend] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		backend, err := s.open(key)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
			continue
		}
		if err := backend.Close(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
		}
	}
	return problems
}

// doubts says what is allowed in a resource but rarely meant.
func doubts(r *resource.Resource) []string {
	var found []string
	if r.CheckCmd != "" && !mentionsSource(r.CheckCmd) {
		found = append(found, "check_cmd does not mention {{.src}}, so it does not see the new file before it is installed")
	}
	if r.CheckCmd == "" && r.ReloadCmd != "" {
		found = append(found, "there is no check_cmd: a file that the program refuses would be installed all the same")
	}
	return found
}

// mentionsSource tells whether a command uses the staged file. Commands have
// no other data than .src and .dest.
func mentionsSource(command string) bool { return strings.Contains(command, ".src") }
