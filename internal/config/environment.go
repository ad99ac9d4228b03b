package config

import (
	"fmt"
	"slices"
	"strings"

	"pc4patroni/internal/nearest"
)

// readEnvironment returns what the environment assigns. An empty variable
// counts as one that is not set.
func (inv Invocation) readEnvironment() (found []assignment, warnings []string) {
	var known []string
	for _, o := range options {
		if o.where == commandLineOnly {
			if inv.Getenv(o.variable()) != "" {
				warnings = append(warnings, fmt.Sprintf("environment variable %s has no effect: -%s works only on the command line", o.variable(), o.name))
			}
			continue
		}
		suffix := strings.TrimPrefix(o.variable(), variablePrefix)
		known = append(known, suffix)
		names := []string{o.variable()}
		if inv.CalledConfd() {
			names = append(names, confdPrefix+suffix)
		}
		// Of several variables for one option the first alone counts.
		for _, name := range append(names, o.vars...) {
			if text := inv.Getenv(name); text != "" {
				found = assign(found, o, text, func(err error) error { return fmt.Errorf("environment variable %s %w", name, err) })
				break
			}
		}
	}
	warnings = append(warnings, inv.unknownVariables(variablePrefix, known)...)
	if inv.CalledConfd() {
		warnings = append(warnings, inv.unknownVariables(confdPrefix, append(known, "CLIENT_CAKEYS"))...)
	}
	return found, warnings
}

// unknownVariables warns of variables that begin with prefix and go on with
// none of the known names: those that mean nothing here, and those that are
// near to a known one. Others are left alone: Kubernetes makes variables for a
// service of our name.
func (inv Invocation) unknownVariables(prefix string, known []string) (warnings []string) {
	for _, entry := range inv.Environ {
		name, value, _ := strings.Cut(entry, "=")
		suffix, ours := strings.CutPrefix(name, prefix)
		if !ours || slices.Contains(known, suffix) {
			continue
		}
		why := noEffect[strings.ToLower(dashes(suffix))]
		near := nearest.To(suffix, known)
		switch {
		case prefix == confdPrefix && why != "" && value != "":
			warnings = append(warnings, fmt.Sprintf("environment variable %s %s", name, why))
		case near != "":
			warnings = append(warnings, fmt.Sprintf("unknown environment variable %s (did you mean %q?)", name, prefix+near))
		}
	}
	return warnings
}
