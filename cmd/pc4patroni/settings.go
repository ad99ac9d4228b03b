package main

import (
	"log/slog"
	"time"
)

// settings are what the user asked for, from whatever source, checked as far
// as that is possible without a look at the system. options.go declares where
// each comes from.
type settings struct {
	// Modes. At most one of them is set once settings are resolved; none is
	// the daemon. Noop is a kind of OneTime and implies it.
	OneTime, Check, Show, Version bool
	Dump                          string

	// What to apply, and how.
	ConfDir, ConfigFile string
	Prefix              string
	Noop, ExitCode      bool
	SyncOnly            bool
	DestDir             string
	KeepStageFile       bool
	Wait                time.Duration
	Output              string // of Show: "table" or "json"

	Backend backendSettings

	// The daemon.
	Interval        time.Duration
	Watch           bool
	ShutdownTimeout time.Duration
	Listen          string

	LogLevel  slog.Level
	LogFormat string // "text" or "json"

	// from is where each option got its value, by name.
	from map[string]source
}

// backendSettings say which store to read and how to get in. A resource can
// have its own.
type backendSettings struct {
	Kind  string // "etcd" or "file"
	Files []string

	Nodes     []string
	SRVDomain string
	SRVRecord string
	Scheme    string // of nodes without one: "http", "https", or "" to find out

	Username     string
	Password     secret
	PasswordFile string
	BasicAuth    bool

	ClientCert     string
	ClientKey      string
	ClientCAKeys   string
	ClientInsecure bool

	DialTimeout    time.Duration
	RequestTimeout time.Duration
}

// secret is a string that no log and no message shows by accident.
type secret string

const hidden = "(hidden)"

func (s secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString keeps the value out of %#v.
func (s secret) GoString() string { return s.String() }

// LogValue keeps the value out of logs.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the value out of JSON.
func (s secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

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
func (s *settings) source(names ...string) source {
	strongest := fromDefault
	for _, name := range names {
		strongest = max(strongest, s.from[name])
	}
	return strongest
}
