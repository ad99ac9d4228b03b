package main

import (
	"strings"
	"time"
)

// group is a heading of -help.
type group string

const (
	groupModes   group = "Modes (without one: stay, and follow the backend)"
	groupApply   group = "What to apply"
	groupBackend group = "Backend"
	groupAuth    group = "Authentication and TLS (etcd)"
	groupDaemon  group = "Daemon"
	groupLog     group = "Logging"
)

// kind is the shape of an option's value.
type kind int

const (
	aString kind = iota
	aBool
	aDuration
	aList // may be given several times, and with commas
)

// option declares one setting. From the table below come the flags, the keys
// of the configuration file and of [backend] tables, the variables of the
// environment, -help, and a test of docs/command-line.md.
type option struct {
	name  string // of the flag
	group group
	kind  kind
	arg   string // what stands for the value in -help
	help  string // one line
	// def is the default, as it would be written on the command line.
	def string
	// set parses text into the settings. A list gets one element at a time.
	// Its error continues a sentence that names the option, and never holds
	// the value of a secret.
	set func(s *settings, text string) error
	// clear empties a list, before a source of higher precedence fills it.
	clear func(s *settings)

	// keys are further names in configuration files, as confd has them.
	keys []string
	// vars are further variables of the environment.
	vars []string
	// forBackend: may stand in the [backend] table of a resource.
	forBackend bool
	// notInFile and notInEnvironment say where the option would make no sense.
	notInFile, notInEnvironment bool
}

// variablePrefix begins the names of our variables in the environment.
const variablePrefix = "PC4PATRONI_"

// variable returns the option's own name in the environment.
func (o *option) variable() string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
}

// options is every setting there is, in the order of -help. It is not changed.
var options = []option{
	{name: "onetime", group: groupModes, kind: aBool,
		help: "apply every resource once, then exit",
		set:  boolean(func(s *settings) *bool { return &s.OneTime })},
	{name: "noop", group: groupModes, kind: aBool,
		help: "print a diff of what -onetime would do; touch nothing",
		set:  boolean(func(s *settings) *bool { return &s.Noop })},
	{name: "exit-code", group: groupModes, kind: aBool,
		help: "with -noop: exit 4 if anything would change",
		set:  boolean(func(s *settings) *bool { return &s.ExitCode })},
	{name: "check", group: groupModes, kind: aBool,
		help: "check configuration and templates, without a backend",
		set:  boolean(func(s *settings) *bool { return &s.Check })},
	{name: "show", group: groupModes, kind: aBool,
		help: "print the clusters as templates see them",
		set:  boolean(func(s *settings) *bool { return &s.Show })},
	{name: "o", group: groupModes, kind: aString, arg: "FORMAT", def: "table",
		help: "with -show: table or json",
		set:  oneOf(func(s *settings) *string { return &s.Output }, "table", "json")},
	{name: "dump", group: groupModes, kind: aString, arg: "FILE",
		help: "write the keys to FILE (- is stdout); -file reads it",
		set:  text(func(s *settings) *string { return &s.Dump })},
	{name: "version", group: groupModes, kind: aBool, notInFile: true, notInEnvironment: true,
		help: "print the version",
		set:  boolean(func(s *settings) *bool { return &s.Version })},

	{name: "confdir", group: groupApply, kind: aString, arg: "DIR", def: "/etc/pc4patroni",
		help: "holds conf.d/*.toml and templates/",
		set:  text(func(s *settings) *string { return &s.ConfDir })},
	{name: "config-file", group: groupApply, kind: aString, arg: "FILE", def: "/etc/pc4patroni/pc4patroni.toml", notInFile: true,
		help: "the configuration file",
		set:  text(func(s *settings) *string { return &s.ConfigFile })},
	{name: "prefix", group: groupApply, kind: aString, arg: "PATH",
		help: "replaces the prefix of every resource",
		set:  text(func(s *settings) *string { return &s.Prefix })},
	{name: "sync-only", group: groupApply, kind: aBool,
		help: "install files, but run no check_cmd and no reload_cmd",
		set:  boolean(func(s *settings) *bool { return &s.SyncOnly })},
	{name: "destdir", group: groupApply, kind: aString, arg: "DIR",
		help: "put DIR in front of every dest, as make's DESTDIR",
		set:  text(func(s *settings) *string { return &s.DestDir })},
	{name: "keep-stage-file", group: groupApply, kind: aBool,
		help: "keep staged files, for debugging",
		set:  boolean(func(s *settings) *bool { return &s.KeepStageFile })},
	{name: "wait", group: groupApply, kind: aDuration, arg: "TIME", def: "10s",
		help: "how long -onetime, -show and -dump try the backend",
		set:  duration(func(s *settings) *time.Duration { return &s.Wait }, minimumTimeout)},

	{name: "backend", group: groupBackend, kind: aString, arg: "KIND", def: "etcd", forBackend: true,
		help: "etcd (the same as etcdv3) or file",
		set:  setBackendKind},
	{name: "node", group: groupBackend, kind: aList, arg: "URL", def: "http://127.0.0.1:2379", forBackend: true, keys: []string{"nodes"},
		help:  "an etcd node; may be repeated, or a comma list",
		set:   list(func(s *settings) *[]string { return &s.Backend.Nodes }, checkNode),
		clear: func(s *settings) { s.Backend.Nodes = nil }},
	{name: "srv-domain", group: groupBackend, kind: aString, arg: "DOMAIN", forBackend: true,
		help: "find the nodes by this domain's SRV records",
		set:  text(func(s *settings) *string { return &s.Backend.SRVDomain })},
	{name: "srv-record", group: groupBackend, kind: aString, arg: "NAME", forBackend: true,
		help: "the SRV record's whole name, if it is another",
		set:  text(func(s *settings) *string { return &s.Backend.SRVRecord })},
	{name: "scheme", group: groupBackend, kind: aString, arg: "SCHEME", forBackend: true,
		help: "of nodes without one: http or https",
		set:  oneOf(func(s *settings) *string { return &s.Backend.Scheme }, "http", "https")},
	{name: "file", group: groupBackend, kind: aList, arg: "FILE", forBackend: true, keys: []string{"files"},
		help:  "read keys from a snapshot; may be repeated",
		set:   list(func(s *settings) *[]string { return &s.Backend.Files }, nil),
		clear: func(s *settings) { s.Backend.Files = nil }},
	{name: "dial-timeout", group: groupBackend, kind: aDuration, arg: "TIME", def: "5s", forBackend: true,
		help: "how long connecting to etcd may take",
		set:  duration(func(s *settings) *time.Duration { return &s.Backend.DialTimeout }, minimumTimeout)},
	{name: "request-timeout", group: groupBackend, kind: aDuration, arg: "TIME", def: "5s", forBackend: true,
		help: "how long one request to etcd may take",
		set:  duration(func(s *settings) *time.Duration { return &s.Backend.RequestTimeout }, minimumTimeout)},

	{name: "username", group: groupAuth, kind: aString, arg: "NAME", forBackend: true,
		help: "etcd user",
		set:  text(func(s *settings) *string { return &s.Backend.Username })},
	{name: "password", group: groupAuth, kind: aString, arg: "TEXT", forBackend: true,
		help: "its password; better in a file: see -password-file",
		set:  func(s *settings, text string) error { s.Backend.Password = secret(text); return nil }},
	{name: "password-file", group: groupAuth, kind: aString, arg: "FILE", forBackend: true,
		help: "holds the password and nothing else",
		set:  text(func(s *settings) *string { return &s.Backend.PasswordFile })},
	{name: "basic-auth", group: groupAuth, kind: aBool, forBackend: true,
		help: "for confd's command lines; a username is enough",
		set:  boolean(func(s *settings) *bool { return &s.Backend.BasicAuth })},
	{name: "client-cert", group: groupAuth, kind: aString, arg: "FILE", forBackend: true, vars: []string{"CONFD_CLIENT_CERT"},
		help: "our certificate (PEM)",
		set:  text(func(s *settings) *string { return &s.Backend.ClientCert })},
	{name: "client-key", group: groupAuth, kind: aString, arg: "FILE", forBackend: true, vars: []string{"CONFD_CLIENT_KEY"},
		help: "its private key (PEM)",
		set:  text(func(s *settings) *string { return &s.Backend.ClientKey })},
	{name: "client-ca-keys", group: groupAuth, kind: aString, arg: "FILE", forBackend: true, vars: []string{"CONFD_CLIENT_CAKEYS"},
		keys: []string{"client-cakeys"},
		help: "CA certificates that vouch for etcd (PEM)",
		set:  text(func(s *settings) *string { return &s.Backend.ClientCAKeys })},
	{name: "client-insecure", group: groupAuth, kind: aBool, forBackend: true,
		help: "do not verify etcd's certificate",
		set:  boolean(func(s *settings) *bool { return &s.Backend.ClientInsecure })},

	{name: "interval", group: groupDaemon, kind: aDuration, arg: "TIME", def: "60",
		help: "how often everything is compared anew",
		set:  duration(func(s *settings) *time.Duration { return &s.Interval }, minimumInterval)},
	{name: "watch", group: groupDaemon, kind: aBool, def: "true",
		help: "follow changes; -watch=false: read once per interval",
		set:  boolean(func(s *settings) *bool { return &s.Watch })},
	{name: "shutdown-timeout", group: groupDaemon, kind: aDuration, arg: "TIME", def: "30s",
		help: "how long a running command may finish after SIGTERM",
		set:  duration(func(s *settings) *time.Duration { return &s.ShutdownTimeout }, 0)},
	{name: "listen", group: groupDaemon, kind: aString, arg: "ADDRESS",
		help: "serve metrics, health and status, e.g. 127.0.0.1:9547",
		set:  setListen},

	{name: "log-level", group: groupLog, kind: aString, arg: "LEVEL", def: "info",
		help: "debug, info, warn or error",
		set:  setLogLevel},
	{name: "log-format", group: groupLog, kind: aString, arg: "FORMAT", def: "text",
		help: "text or json",
		set:  oneOf(func(s *settings) *string { return &s.LogFormat }, "text", "json")},
}
