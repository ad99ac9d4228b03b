package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pc4patroni/internal/nearest"
)

// readEnvironment returns what the environment assigns. An empty variable
// counts as one that is not set.
func (inv Invocation) readEnvironment() (found []assignment, warnings []string, err error) {
	var errs []error
	var known []string
	for i := range options {
		o := &options[i]
		if o.where == commandLineOnly {
			if inv.Getenv(o.variable()) != "" {
				warnings = append(warnings, fmt.Sprintf("environment variable %s has no effect: -%s works on the command line only", o.variable(), o.name))
			}
			continue
		}
		known = append(known, strings.TrimPrefix(o.variable(), variablePrefix))
		for _, name := range append(slices.Clone(o.vars), o.variable()) {
			text := inv.Getenv(name)
			if text == "" {
				continue
			}
			if err := o.set(&Settings{}, text); err != nil {
				errs = append(errs, fmt.Errorf("environment variable %s %w", name, err))
				continue
			}
			// Of several variables for one option the last alone counts.
			found = slices.DeleteFunc(found, func(a assignment) bool { return a.option == o })
			found = append(found, assignment{o, text})
		}
	}
	for _, entry := range inv.Environ {
		name, _, _ := strings.Cut(entry, "=")
		suffix, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || slices.Contains(known, suffix) {
			continue
		}
		// Names that are not near to ours are left alone: Kubernetes makes
		// variables for a service that is called pc4patroni.
		if near := nearest.To(suffix, slices.Values(known)); near != "" {
			warnings = append(warnings, fmt.Sprintf("unknown environment variable %s (did you mean %q?)", name, variablePrefix+near))
		}
	}
	return found, warnings, errors.Join(errs...)
}
