package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"pc4patroni/internal/nearest"
)

// commandLine is what the command line says.
type commandLine struct {
	assigned   []assignment // in its order
	subcommand bool         // of abtreece/confd, which names the backend
	warnings   []string
}

// parseFlags reads the command line.
func (inv Invocation) parseFlags() (*commandLine, error) {
	inv.Args = nameSample(inv.Args)
	line := &commandLine{}
	set := flag.NewFlagSet(inv.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, o := range options {
		line.define(set, o.name, o)
	}
	if inv.CalledConfd() {
		line.defineConfd(set)
	}
	err := set.Parse(inv.Args)
	if backend := optionByKey("backend"); err == nil && inv.CalledConfd() && slices.Contains(backend.words, set.Arg(0)) {
		line.subcommand = true
		line.assigned = assign(line.assigned, backend, set.Arg(0), nil)
		err = set.Parse(set.Args()[1:])
	}
	switch next := set.Arg(0); {
	case errors.Is(err, flag.ErrHelp):
		return nil, err
	case err == nil && set.NArg() == 0:
		return line, nil
	case err == nil && inv.CalledConfd() && slices.Contains(otherBackends, next):
		return nil, usagef("%q is not a backend of this program: only etcd (API v3) and file are supported", next)
	case err == nil:
		return nil, unexpected(next, line.assigned)
	case badFlag.MatchString(next):
		return nil, usagef("bad flag %q", next)
	}
	// The package has consumed the flag that it does not know.
	arg := inv.Args[len(inv.Args)-set.NArg()-1]
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if why, ok := noEffect[dashes(name)]; ok {
		return nil, usagef("flag -%s %s", name, why)
	}
	if set.Lookup(name) != nil {
		return nil, usagef("flag -%s needs a value", name)
	}
	return nil, usagef("unknown flag -%s%s", name, hintFlag(name))
}

// nameSample gives a -sample that no name follows an empty one, which asks for
// the list.
func nameSample(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if (arg == "-sample" || arg == "--sample") && (i+1 == len(args) || strings.HasPrefix(args[i+1], "-")) {
			args[i] = arg + "="
		}
	}
	return args
}

// badFlag matches what the flag package refuses without a look for a name.
var badFlag = regexp.MustCompile(`^--?[-=]`)

// define declares a flag that assigns to an option.
func (line *commandLine) define(set *flag.FlagSet, name string, o *option) {
	found := func(text string) error {
		line.assigned = assign(line.assigned, o, text, func(err error) error { return usagef("flag -%s %v", o.name, err) })
		return nil
	}
	if o.isBool() {
		set.BoolFunc(name, o.help, found)
	} else {
		set.Func(name, o.help, found)
	}
}

// hintFlag suggests the flag that an unknown name was meant to be.
func hintFlag(name string) string {
	right := meant[name]
	if o := optionByKey(name); o != nil {
		right = o.name
	}
	if right != "" {
		return fmt.Sprintf(` (did you mean "-%s"?)`, right)
	}
	flags := []string{"-help"}
	for _, o := range options {
		flags = append(flags, "-"+o.name)
	}
	return nearest.Hint("-"+name, flags)
}

// unexpected explains an argument that is no flag.
func unexpected(arg string, before []assignment) error {
	if len(before) > 0 {
		if last := before[len(before)-1].option; last.isBool() && (arg == "true" || arg == "false") {
			return usagef("unexpected argument %q: write -%s=%s", arg, last.name, arg)
		}
	}
	return usagef("unexpected argument %q: every flag begins with a dash", arg)
}
