package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pc4patroni/internal/nearest"
	"pc4patroni/internal/tomlfile"
)

// invocation is how the program was called. It is read again, with the
// configuration file, when the daemon gets SIGHUP.
type invocation struct {
	name    string   // the base of the name by which it was called
	args    []string // what came after the name
	environ []string // NAME=VALUE
}

// lookup returns the value of a variable of the environment, "" if it is not
// set. As with os.Environ, the last of several wins.
func (inv invocation) lookup(name string) string {
	for _, entry := range slices.Backward(inv.environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// defaults returns the settings before anything was read. Called by the name
// of confd, confd's folders are the default.
func (inv invocation) defaults() settings {
	s := settings{from: make(map[string]source)}
	for i := range options {
		o := &options[i]
		if o.def == "" {
			continue
		}
		if err := o.set(&s, inv.defaultOf(o)); err != nil {
			panic(fmt.Sprintf("default of -%s %v", o.name, err))
		}
	}
	return s
}

func (inv invocation) defaultOf(o *option) string {
	if inv.name == "confd" {
		switch o.name {
		case "confdir":
			return "/etc/confd"
		case "config-file":
			return "/etc/confd/confd.toml"
		}
	}
	return o.def
}

// load gathers the settings from all sources, lowest precedence first:
// defaults, configuration file, environment, command line. It returns warnings
// beside them, and flag.ErrHelp when help was asked for. A *usageError is
// about the command line.
func (inv invocation) load() (settings, []string, error) {
	flags, err := inv.parseFlags()
	if err != nil {
		return settings{}, nil, err
	}
	// To tell the version nothing else needs to be right.
	if s := inv.defaults(); s.putAll(flags, fromFlag).Version {
		return s, nil, nil
	}
	variables, warnings, err := inv.readEnvironment()
	if err != nil {
		return settings{}, nil, err
	}

	s := inv.defaults()
	path, given := s.ConfigFile, false
	for _, assigned := range slices.Concat(variables, flags) {
		if assigned.option.name == "config-file" {
			path, given = assigned.text, true
		}
	}
	more, err := readConfigFile(&s, path, given)
	if err != nil {
		return settings{}, nil, err
	}
	warnings = append(warnings, more...)
	s.putAll(variables, fromEnvironment)
	s.putAll(flags, fromFlag)
	more, err = s.resolve()
	if err != nil {
		return settings{}, nil, err
	}
	return s, append(warnings, more...), nil
}

// assigned is a text that was given for an option, and that the option accepts.
type assigned struct {
	option *option
	text   string
}

// put stores a value from a source. What a source says of a list replaces what
// a weaker one said.
func (s *settings) put(a assigned, from source) {
	if a.option.kind == aList && strings.Trim(a.text, ", \t") == "" {
		// A script had nothing to say: -node "".
		return
	}
	if a.option.clear != nil && s.from[a.option.name] < from {
		a.option.clear(s)
	}
	s.from[a.option.name] = from
	if err := a.option.set(s, a.text); err != nil {
		panic(fmt.Sprintf("-%s was accepted before: it %v", a.option.name, err))
	}
}

func (s *settings) putAll(all []assigned, from source) *settings {
	for _, a := range all {
		s.put(a, from)
	}
	return s
}

// usageError is an error on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// flagValue hands the flag package's findings on to the list of assignments,
// and keeps the first error in its own words.
type flagValue struct {
	option   *option
	assigned *[]assigned
	err      *error
}

func (v *flagValue) String() string { return "" }

func (v *flagValue) IsBoolFlag() bool { return v.option.kind == aBool }

func (v *flagValue) Set(text string) error {
	if err := v.option.set(&settings{}, text); err != nil {
		*v.err = usagef("flag -%s %v", v.option.name, err)
		return *v.err
	}
	*v.assigned = append(*v.assigned, assigned{v.option, text})
	return nil
}

// parseFlags returns what the command line assigns, in its order.
func (inv invocation) parseFlags() ([]assigned, error) {
	var result []assigned
	var valueErr error
	set := flag.NewFlagSet(inv.name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	for i := range options {
		set.Var(&flagValue{&options[i], &result, &valueErr}, options[i].name, options[i].help)
	}
	err := set.Parse(inv.args)
	switch {
	case err == nil && set.NArg() == 0:
		return result, nil
	case err == nil:
		return nil, unexpected(set.Arg(0), result)
	case errors.Is(err, flag.ErrHelp):
		return nil, err
	case valueErr != nil:
		return nil, valueErr
	}
	if next := set.Arg(0); badSyntax(next) {
		return nil, usagef("bad flag %q", next)
	}
	// The package has consumed the flag that it does not know.
	arg := inv.args[len(inv.args)-set.NArg()-1]
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if why, ok := confdOnly[strings.ReplaceAll(name, "_", "-")]; ok {
		return nil, usagef("flag -%s %s", name, why)
	}
	if set.Lookup(name) != nil {
		return nil, usagef("flag -%s needs a value", name)
	}
	return nil, usagef("unknown flag -%s%s", name, hintFlag(name))
}

// badSyntax tells whether the flag package would not even look for a name.
func badSyntax(arg string) bool {
	name, dashed := strings.CutPrefix(arg, "-")
	name = strings.TrimPrefix(name, "-")
	return dashed && (strings.HasPrefix(name, "-") || strings.HasPrefix(name, "="))
}

// hintFlag suggests the flag that an unknown name was meant to be.
func hintFlag(name string) string {
	if o := optionByKey(name, func(*option) bool { return true }); o != nil {
		return fmt.Sprintf(` (did you mean "-%s"?)`, o.name)
	}
	flags := func(yield func(string) bool) {
		if !yield("-help") {
			return
		}
		for i := range options {
			if !yield("-" + options[i].name) {
				return
			}
		}
	}
	return nearest.Hint("-"+name, flags)
}

// unexpected explains an argument that is no flag.
func unexpected(arg string, before []assigned) error {
	if len(before) > 0 {
		if last := before[len(before)-1].option; last.kind == aBool && (arg == "true" || arg == "false") {
			return usagef("unexpected argument %q: write -%s=%s", arg, last.name, arg)
		}
	}
	return usagef("unexpected argument %q: every flag begins with a dash", arg)
}

// readEnvironment returns what the environment assigns. An empty variable
// counts as one that is not set.
func (inv invocation) readEnvironment() (result []assigned, warnings []string, err error) {
	var errs []error
	var known []string
	for i := range options {
		o := &options[i]
		if o.notInEnvironment {
			continue
		}
		known = append(known, strings.TrimPrefix(o.variable(), variablePrefix))
		for _, name := range append(slices.Clone(o.vars), o.variable()) {
			text := inv.lookup(name)
			if text == "" {
				continue
			}
			if err := o.set(&settings{}, text); err != nil {
				errs = append(errs, fmt.Errorf("environment variable %s %w", name, err))
				continue
			}
			// Of several variables for one option the last alone counts.
			result = slices.DeleteFunc(result, func(a assigned) bool { return a.option == o })
			result = append(result, assigned{o, text})
		}
	}
	for _, entry := range inv.environ {
		name, _, _ := strings.Cut(entry, "=")
		suffix, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || slices.Contains(known, suffix) {
			continue
		}
		// Names that are not near to ours are left alone: Kubernetes makes
		// variables for a service that is called pc4patroni.
		if meant := nearest.To(suffix, slices.Values(known)); meant != "" {
			warnings = append(warnings, fmt.Sprintf("unknown environment variable %s (did you mean %q?)", name, variablePrefix+meant))
		}
	}
	return result, warnings, errors.Join(errs...)
}

// readConfigFile stores what the configuration file says. That there is none
// is an error only if the user named it.
func readConfigFile(s *settings, path string, given bool) (warnings []string, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !given {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	var tree map[string]any
	file, err := tomlfile.Decode(path, data, &tree)
	if err != nil {
		return nil, fmt.Errorf("read %w", err)
	}
	values, errs := tableValues(tree, func(o *option) bool { return !o.notInFile })
	s.putAll(values, fromFile)
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b keyError) int { return file.Line(a.key) - file.Line(b.key) })
		joined := make([]error, len(errs))
		for i, e := range errs {
			joined[i] = fmt.Errorf("read %w", file.Errorf([]string{e.key}, "%w", e))
		}
		return nil, errors.Join(joined...)
	}
	if s.Backend.Password != "" {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
			warnings = append(warnings, fmt.Sprintf("%s holds a password and every user of this host can read it", filepath.Clean(path)))
		}
	}
	return warnings, nil
}
