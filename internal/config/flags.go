package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"pc4patroni/internal/nearest"
)

// flagValue collects what the flag package finds, and keeps the first error in
// its own words.
type flagValue struct {
	option *option
	found  *[]assignment
	err    *error
}

func (v *flagValue) String() string { return "" }

func (v *flagValue) IsBoolFlag() bool { return v.option.kind == aBool }

func (v *flagValue) Set(text string) error {
	if err := v.option.set(&Settings{}, text); err != nil {
		*v.err = usagef("flag -%s %v", v.option.name, err)
		return *v.err
	}
	*v.found = append(*v.found, assignment{v.option, text})
	return nil
}

// commandLine is what the command line says.
type commandLine struct {
	assigned   []assignment // in its order
	subcommand bool         // of abtreece/confd, which names the backend
	warnings   []string
}

// parseFlags reads the command line.
func (inv Invocation) parseFlags() (*commandLine, error) {
	line := &commandLine{}
	var valueErr error
	set := flag.NewFlagSet(inv.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	for i := range options {
		set.Var(&flagValue{&options[i], &line.assigned, &valueErr}, options[i].name, options[i].help)
	}
	if inv.CalledConfd() {
		line.addConfdFlags(set, &valueErr)
	}
	err := set.Parse(inv.Args)
	if err == nil && inv.CalledConfd() && !line.subcommand && line.putSubcommand(set.Arg(0)) {
		err = set.Parse(set.Args()[1:])
	}
	switch {
	case err == nil && set.NArg() == 0:
		return line, nil
	case err == nil && inv.CalledConfd() && slices.Contains(otherBackends, set.Arg(0)):
		return nil, usagef("%q is a backend that this program does not have: only etcd (API v3) and file are supported", set.Arg(0))
	case err == nil:
		return nil, unexpected(set.Arg(0), line.assigned)
	case errors.Is(err, flag.ErrHelp):
		return nil, err
	case valueErr != nil:
		return nil, valueErr
	}
	if next := set.Arg(0); badSyntax(next) {
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

// badSyntax tells whether the flag package would not even look for a name.
func badSyntax(arg string) bool {
	name, dashed := strings.CutPrefix(arg, "-")
	name = strings.TrimPrefix(name, "-")
	return dashed && (strings.HasPrefix(name, "-") || strings.HasPrefix(name, "="))
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
	return nearest.Hint("-"+name, func(yield func(string) bool) {
		if !yield("-help") {
			return
		}
		for i := range options {
			if !yield("-" + options[i].name) {
				return
			}
		}
	})
}

// unexpected explains an argument that is no flag.
func unexpected(arg string, before []assignment) error {
	if len(before) > 0 {
		if last := before[len(before)-1].option; last.kind == aBool && (arg == "true" || arg == "false") {
			return usagef("unexpected argument %q: write -%s=%s", arg, last.name, arg)
		}
	}
	return usagef("unexpected argument %q: every flag begins with a dash", arg)
}
