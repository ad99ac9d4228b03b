// Package config turns the command line, the environment and the configuration
// file into settings.
//
// flag_table.go declares every setting once. From that table come the flags, the
// keys of the configuration file and of a resource's [backend] table, the
// variables of the environment, -help and the list of flags in the man page.
// Each source is decoded strictly into fresh Settings: an error leaves nothing
// half read.
//
// The package connects to nothing and reads no environment of its own: an
// Invocation holds all that the program was given.
package config

import (
	"log/slog"
	"time"
)

// Mode is what the program was asked to do.
type Mode int

// The modes. Each but Daemon has a flag of its name.
const (
	Daemon Mode = iota
	OneTime
	Check
	Show
	Dump
	Sample
	Version
)

// Settings are what the user asked for, from whatever source, checked as far
// as that is possible without a look at the system.
type Settings struct {
	Mode     Mode
	DumpFile string // of Dump; "-" is standard output
	Sample   string // of Sample: which one; empty lists them
	ExitCode bool   // of OneTime with Noop
	Output   string // of Show: "table" or "json"

	// What to apply, and how.
	ConfDir, ConfigFile string
	Prefix              string
	Noop                bool // of OneTime and Daemon
	SyncOnly            bool
	DestDir             string // absolute, or empty
	KeepStageFile       bool
	Wait                time.Duration

	Backend Backend

	// The daemon.
	Interval        time.Duration
	Watch           bool
	ShutdownTimeout time.Duration
	Listen          string
	WebConfigFile   string

	LogLevel  slog.Level
	LogFormat string // "text" or "json"

	// What the flags said; Mode is what came of it.
	oneTime, check, show, version bool
	// from is where each option got its value, by name.
	from map[string]source
}

// Backend says which store to read and how to get in. A resource can have its
// own.
type Backend struct {
	Kind  string // "etcd" or "file"
	Files []string

	Nodes     []string
	SRVDomain string
	SRVRecord string
	Scheme    string // of nodes without one: "http", "https", or "" to find out

	Username     string
	Password     Secret
	PasswordFile string
	BasicAuth    bool

	ClientCert     string
	ClientKey      string
	ClientCAKeys   string
	ClientInsecure bool

	DialTimeout    time.Duration
	RequestTimeout time.Duration
}

// PrefixTyped tells whether the prefix came from the command line.
func (s *Settings) PrefixTyped() bool { return s.Prefix != "" && s.source("prefix") == fromFlag }

// ConfDirTyped tells whether the command line named the configuration directory.
func (s *Settings) ConfDirTyped() bool { return s.source("confdir") == fromFlag }

// KeepFixed puts back the settings that a running daemon cannot change, and
// returns the names of those that differ.
func (s *Settings) KeepFixed(old *Settings) []string {
	var changed []string
	compare := func(name string, differs bool) {
		if differs {
			changed = append(changed, name)
		}
	}
	compare("listen", s.Listen != old.Listen)
	compare("log-format", s.LogFormat != old.LogFormat)
	compare("noop", s.Noop != old.Noop)
	compare("onetime", s.Mode != old.Mode)
	compare("web-config-file", s.WebConfigFile != old.WebConfigFile)
	s.Listen, s.WebConfigFile, s.LogFormat, s.Mode, s.Noop = old.Listen, old.WebConfigFile, old.LogFormat, old.Mode, old.Noop
	return changed
}

// Secret is a string that no log and no message shows by accident.
type Secret string

const hidden = "(hidden)"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString keeps the value out of %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps the value out of JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// source is where a value came from. Later ones take precedence.
type source int

const (
	fromDefault source = iota
	fromFile
	fromEnvironment
	fromFlag
	fromResource // a [backend] table
)

// source returns the source of the strongest of the named options.
func (s *Settings) source(names ...string) source {
	strongest := fromDefault
	for _, name := range names {
		strongest = max(strongest, s.from[name])
	}
	return strongest
}
