package config

import (
	"fmt"
	"slices"
	"strings"
)

// Invocation is how the program was called. Load reads it anew each time, with
// the configuration file.
type Invocation struct {
	Name    string   // the base of the name by which it was called
	Args    []string // what came after the name
	Environ []string // NAME=VALUE
}

// Getenv returns the value of a variable of the environment, "" if it is not
// set. As with os.Environ, the last of several wins.
func (inv Invocation) Getenv(name string) string {
	for _, entry := range slices.Backward(inv.Environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// UsageError is an error on the command line.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// Load gathers the settings from all sources, lowest precedence first:
// defaults, configuration file, environment, command line. It returns warnings
// beside them, and flag.ErrHelp when help was asked for. A *UsageError is
// about the command line.
func (inv Invocation) Load() (*Settings, []string, error) {
	line, err := inv.parseFlags()
	if err != nil {
		return nil, nil, err
	}
	flags := line.assigned
	// To tell the version nothing else needs to be right.
	if s := inv.defaults().putAll(flags, fromFlag); s.version {
		s.Mode = Version
		return s, nil, nil
	}
	variables, more, err := inv.readEnvironment()
	if err != nil {
		return nil, nil, err
	}
	warnings := append(line.warnings, more...)

	s := inv.defaults()
	path, given := s.ConfigFile, false
	for _, a := range slices.Concat(variables, flags) {
		if a.option.name == "config-file" {
			path, given = a.text, true
		}
	}
	more, err = s.readFile(path, given)
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, more...)
	if inv.CalledConfd() && !line.subcommand {
		warnings = append(warnings, s.precedenceWarnings(flags)...)
	}
	s.putAll(variables, fromEnvironment)
	s.putAll(flags, fromFlag)
	more, err = s.resolve()
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, more...)
	return s, append(warnings, line.prefixWarning(s)...), nil
}

// defaults returns the settings before anything was read. Called by the name
// of confd, confd's folders are the default.
func (inv Invocation) defaults() *Settings {
	s := &Settings{from: make(map[string]source)}
	for i := range options {
		o := &options[i]
		if o.def == "" {
			continue
		}
		if err := o.set(s, inv.defaultOf(o)); err != nil {
			panic(fmt.Sprintf("default of -%s %v", o.name, err))
		}
	}
	return s
}

func (inv Invocation) defaultOf(o *option) string {
	if inv.CalledConfd() {
		switch o.name {
		case "confdir":
			return "/etc/confd"
		case "config-file":
			return "/etc/confd/confd.toml"
		}
	}
	return o.def
}

// assignment is a text that was given for an option, and that the option
// accepts.
type assignment struct {
	option *option
	text   string
}

// putAll stores values from a source. What a source says of a list replaces
// what a weaker one said.
func (s *Settings) putAll(all []assignment, from source) *Settings {
	for _, a := range all {
		if a.option.kind == aList && strings.Trim(a.text, ", \t") == "" {
			continue // a script had nothing to say: -node ""
		}
		if a.option.clear != nil && s.from[a.option.name] < from {
			a.option.clear(s)
		}
		s.from[a.option.name] = from
		if err := a.option.set(s, a.text); err != nil {
			panic(fmt.Sprintf("-%s was accepted before: it %v", a.option.name, err))
		}
	}
	return s
}
