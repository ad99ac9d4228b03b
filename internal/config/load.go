package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
type UsageError struct{ error }

func usagef(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// Load gathers the settings from all sources, lowest precedence first: defaults,
// configuration file, environment, command line. It returns warnings beside them.
// Its error is flag.ErrHelp where help was asked for.
func (inv Invocation) Load() (*Settings, []string, error) {
	line, err := inv.parseFlags()
	if err != nil {
		return nil, nil, err
	}
	variables, warnings := inv.readEnvironment()
	warnings = append(line.warnings, warnings...)

	// The flags and the environment name the configuration file.
	named := inv.defaults()
	badVariables := named.put(variables, fromEnvironment)
	badFlags := named.put(line.assigned, fromFlag)
	switch {
	case len(badFlags) > 0:
		return nil, nil, errors.Join(badFlags...)
	case named.version: // nothing else needs to be right
		named.Mode = Version
		return named, nil, nil
	case len(badVariables) > 0:
		return nil, nil, errors.Join(badVariables...)
	case named.source("sample") == fromFlag: // asks for no configuration
		_, err := named.resolve()
		return named, nil, err
	}

	s := inv.defaults()
	more, err := s.readFile(named.ConfigFile, named.source("config-file") > fromDefault)
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, more...)
	warnings = append(warnings, inv.unreadFile(named)...)
	if inv.CalledConfd() && !line.subcommand {
		warnings = append(warnings, s.precedenceWarnings(line.assigned)...)
	}
	s.put(variables, fromEnvironment) // accepted above, as are the flags
	s.put(line.assigned, fromFlag)
	more, err = s.resolve()
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, more...)
	if line.subcommand && s.Prefix != "" {
		warnings = append(warnings, "prefix replaces the prefix of every resource, as in confd; abtreece/confd puts it in front of theirs")
	}
	return s, warnings, nil
}

// defaults returns the settings before anything was read. Called by the name
// of confd, confd's folders are the default.
func (inv Invocation) defaults() *Settings {
	s := &Settings{from: make(map[string]source)}
	for _, o := range s.options() {
		if o.def == "" {
			continue
		}
		if err := o.set(inv.defaultOf(o)); err != nil {
			panic(fmt.Sprintf("default of -%s %v", o.name, err))
		}
	}
	return s
}

// unreadFile warns of a configuration file in a -confdir that is not read, because
// another flag names it.
func (inv Invocation) unreadFile(named *Settings) []string {
	path := filepath.Join(named.ConfDir, filepath.Base(named.ConfigFile))
	if named.source("config-file") > fromDefault || filepath.Clean(named.ConfDir) == inv.DefaultConfDir() {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return []string{fmt.Sprintf("%s is not read: name it with -config-file", path)}
}

// DefaultConfDir is where the configuration is read without -confdir.
func (inv Invocation) DefaultConfDir() string { return inv.defaultOf(optionByKey("confdir")) }

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

// assignment is a text that a source gives for an option.
type assignment struct {
	option *option
	text   string
	blame  func(error) error // says where a text stands that cannot be used
}

// assign adds an assignment to those of one source. Of several for one option
// the last counts; a list takes them all, and needs an element to count.
func assign(all []assignment, o *option, text string, blame func(error) error) []assignment {
	if o.isList() {
		if len(elements(text)) == 0 {
			return all // a script had nothing to say: -node ""
		}
		for _, a := range all {
			if a.option == o {
				text = a.text + "," + text
			}
		}
	}
	all = slices.DeleteFunc(all, func(a assignment) bool { return a.option == o })
	return append(all, assignment{o, text, blame})
}

// put stores what a source says. Of a list it replaces what a weaker one said.
func (s *Settings) put(all []assignment, from source) (errs []error) {
	own := s.options()
	for _, a := range all {
		if err := own[slices.Index(options, a.option)].set(a.text); err != nil {
			errs = append(errs, a.blame(err))
		}
		s.from[a.option.name] = from
	}
	return errs
}
