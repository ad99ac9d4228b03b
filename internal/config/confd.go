package config

import (
	"flag"
	"fmt"
)

// confdName is the name by which the program is confd for etcd and files: it
// reads confd's files and variables, and takes the command lines of both confd
// and its fork abtreece/confd.
const confdName = "confd"

// CalledConfd tells whether the program was called by the name confd.
func (inv Invocation) CalledConfd() bool { return inv.Name == confdName }

// confdPrefix begins the names of confd's variables in the environment.
const confdPrefix = "CONFD_"

// noEffect are options that a version of confd has or had and that mean
// nothing here, with what a user who moves from confd is to do about each. In
// a configuration file they are a warning, on the command line an error.
var noEffect = map[string]string{
	"app-id":         forOtherBackend,
	"auth-token":     forOtherBackend,
	"auth-type":      forOtherBackend,
	"consul":         forOtherBackend,
	"consul-addr":    forOtherBackend,
	"path":           forOtherBackend,
	"role-id":        forOtherBackend,
	"secret-id":      forOtherBackend,
	"separator":      forOtherBackend,
	"table":          forOtherBackend,
	"user-id":        forOtherBackend,
	"debug":          "has no effect: set log-level to debug",
	"verbose":        "has no effect: set log-level to info",
	"quiet":          "has no effect: set log-level to error",
	"filter":         "has no effect: list every snapshot with file",
	"secret-keyring": "has no effect: encrypted values are not decrypted; keep secrets in files that the proxy includes",

	"acm-export-private-key":       forOtherBackend,
	"secretsmanager-no-flatten":    forOtherBackend,
	"secretsmanager-version-stage": forOtherBackend,
	"mock-data":                    "has no effect: render a snapshot with -noop -file FILE",
	"preflight":                    "has no effect: -dump - shows whether the backend can be read, -noop what would be written",
	"resource":                     "has no effect: -check reads every resource",
	"shutdown-cleanup":             "has no effect: nothing is left to clean up",

	"batch-interval":        "has no effect: changes that come together are applied together",
	"color":                 "has no effect: the diff is coloured at a terminal",
	"debounce":              "has no effect: changes that come together are applied together",
	"diff":                  "has no effect: -noop always prints a diff",
	"diff-context":          "has no effect: the diff has three lines of context",
	"template-cache":        "has no effect: templates are read once",
	"template-cache-policy": "has no effect: templates are read once",
	"template-cache-size":   "has no effect: templates are read once",
}

// dispensable are the flags among noEffect without which the result is the
// same. Called confd they are a warning on the command line, too. True is a
// switch.
var dispensable = map[string]bool{
	"batch-interval":        false,
	"color":                 true,
	"debounce":              false,
	"diff":                  true,
	"diff-context":          false,
	"template-cache":        true,
	"template-cache-policy": false,
	"template-cache-size":   false,
}

// confdFlags are the fork's names for flags of ours.
var confdFlags = map[string]string{
	"n":            "node",
	"check-config": "check",
	"validate":     "check",
}

const forOtherBackend = "has no effect: it belongs to a backend other than etcd and file"

// defineConfd declares the flags that only confd's command line has.
func (line *commandLine) defineConfd(set *flag.FlagSet) {
	for name, ours := range confdFlags {
		line.define(set, name, optionByKey(ours))
	}
	for name, isSwitch := range dispensable {
		warn := func(string) error {
			line.warnings = append(line.warnings, fmt.Sprintf("flag -%s %s", name, noEffect[name]))
			return nil
		}
		if isSwitch {
			set.BoolFunc(name, "", warn)
		} else {
			set.Func(name, "", warn)
		}
	}
}

// precedenceWarnings names the flags that win over the file just read; in confd
// they lose. In abtreece/confd they win, too.
func (s *Settings) precedenceWarnings(flags []assignment) (warnings []string) {
	for _, a := range flags {
		if s.from[a.option.name] == fromFile {
			warnings = append(warnings, fmt.Sprintf("flag -%s wins over the configuration file; in confd the file wins", a.option.name))
		}
	}
	return warnings
}

// meant are flags that people type for ours.
var meant = map[string]string{
	"v": "version", "V": "version",
	"dryrun": "noop", "dry-run": "noop", "n": "noop",
	"check-only": "check", "validate": "check",
	"once": "onetime", "one-time": "onetime",
	"config": "config-file", "conf-dir": "confdir", "config-dir": "confdir",
}
