package config

import (
	"strings"
	"time"
)

// group is a heading of -help.
type group string

const (
	groupModes   group = "Modes (without one: stay and follow the backend)"
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

// option declares one setting.
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
	set func(s *Settings, text string) error
	// clear empties a list, before a source of higher precedence fills it.
	clear func(s *Settings)

	// keys are further names in configuration files, as confd has them.
	keys []string
	// vars are further variables of the environment.
	vars []string
	// forBackend: may stand in the [backend] table of a resource.
	forBackend bool
	// where says where the option would make no sense.
	where where
}

// where is a restriction on the sources of an option.
type where int

const (
	anywhere where = iota
	notInFile
	commandLineOnly
)

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
		set:  boolean(func(s *Settings) *bool { return &s.oneTime })},
	{name: "noop", group: groupModes, kind: aBool,
		help: "print a diff of what would change; touch nothing",
		set:  boolean(func(s *Settings) *bool { return &s.Noop })},
	{name: "exit-code", group: groupModes, kind: aBool, where: commandLineOnly,
		help: "with -noop: exit 4 if anything would change",
		set:  boolean(func(s *Settings) *bool { return &s.ExitCode })},
	{name: "check", group: groupModes, kind: aBool, where: commandLineOnly,
		help: "check configuration and templates, without a backend",
		set:  boolean(func(s *Settings) *bool { return &s.check })},
	{name: "show", group: groupModes, kind: aBool, where: commandLineOnly,
		help: "print the clusters as templates see them",
		set:  boolean(func(s *Settings) *bool { return &s.show })},
	{name: "o", group: groupModes, kind: aString, arg: "FORMAT", def: "table", where: commandLineOnly,
		help: "with -show and -check: table or json",
		set:  oneOf(func(s *Settings) *string { return &s.Output }, "table", "json")},
	{name: "dump", group: groupModes, kind: aString, arg: "FILE", where: commandLineOnly,
		help: "write the keys to FILE (- is stdout); -file reads it",
		set:  text(func(s *Settings) *string { return &s.DumpFile })},
	{name: "version", group: groupModes, kind: aBool, where: commandLineOnly,
		help: "print the version",
		set:  boolean(func(s *Settings) *bool { return &s.version })},

	{name: "confdir", group: groupApply, kind: aString, arg: "DIR", def: "/etc/pc4patroni",
		help: "holds conf.d/*.toml and templates/",
		set:  text(func(s *Settings) *string { return &s.ConfDir })},
	{name: "config-file", group: groupApply, kind: aString, arg: "FILE", def: "/etc/pc4patroni/pc4patroni.toml", where: notInFile,
		help: "the configuration file",
		set:  text(func(s *Settings) *string { return &s.ConfigFile })},
	{name: "prefix", group: groupApply, kind: aString, arg: "PATH",
		help: "replaces the prefix of every resource",
		set:  text(func(s *Settings) *string { return &s.Prefix })},
	{name: "sync-only", group: groupApply, kind: aBool,
		help: "install files, but run no check_cmd and no reload_cmd",
		set:  boolean(func(s *Settings) *bool { return &s.SyncOnly })},
	{name: "destdir", group: groupApply, kind: aString, arg: "DIR",
		help: "put DIR in front of every dest, as make's DESTDIR",
		set:  text(func(s *Settings) *string { return &s.DestDir })},
	{name: "keep-stage-file", group: groupApply, kind: aBool,
		help: "keep staged files, for debugging",
		set:  boolean(func(s *Settings) *bool { return &s.KeepStageFile })},
	{name: "wait", group: groupApply, kind: aDuration, arg: "TIME", def: "10s",
		help: "how long -onetime, -show and -dump try the backend",
		set:  duration(func(s *Settings) *time.Duration { return &s.Wait }, minimumTimeout)},

	{name: "backend", group: groupBackend, kind: aString, arg: "KIND", def: "etcd", forBackend: true,
		help: "the store: etcd (the same as etcdv3) or file",
		set:  setBackendKind},
	{name: "node", group: groupBackend, kind: aList, arg: "URL", def: "http://127.0.0.1:2379", forBackend: true, keys: []string{"nodes", "etcd-nodes"},
		help:  "an etcd node; may be repeated, or a comma list",
		set:   list(func(s *Settings) *[]string { return &s.Backend.Nodes }, checkNode),
		clear: func(s *Settings) { s.Backend.Nodes = nil }},
	{name: "srv-domain", group: groupBackend, kind: aString, arg: "DOMAIN", forBackend: true,
		help: "find the nodes by this domain's SRV records",
		set:  text(func(s *Settings) *string { return &s.Backend.SRVDomain })},
	{name: "srv-record", group: groupBackend, kind: aString, arg: "NAME", forBackend: true,
		help: "the full name of the SRV record, if it differs",
		set:  text(func(s *Settings) *string { return &s.Backend.SRVRecord })},
	{name: "scheme", group: groupBackend, kind: aString, arg: "SCHEME", forBackend: true, keys: []string{"etcd-scheme"},
		help: "for nodes without one: http or https",
		set:  oneOf(func(s *Settings) *string { return &s.Backend.Scheme }, "http", "https")},
	{name: "file", group: groupBackend, kind: aList, arg: "FILE", forBackend: true, keys: []string{"files"},
		help:  "read keys from a snapshot; may be repeated",
		set:   list(func(s *Settings) *[]string { return &s.Backend.Files }, nil),
		clear: func(s *Settings) { s.Backend.Files = nil }},
	{name: "dial-timeout", group: groupBackend, kind: aDuration, arg: "TIME", def: "5s", forBackend: true,
		help: "how long connecting to etcd may take",
		set:  duration(func(s *Settings) *time.Duration { return &s.Backend.DialTimeout }, minimumTimeout)},
	{name: "request-timeout", group: groupBackend, kind: aDuration, arg: "TIME", def: "5s", forBackend: true,
		help: "how long one request to etcd may take",
		set:  duration(func(s *Settings) *time.Duration { return &s.Backend.RequestTimeout }, minimumTimeout)},

	{name: "username", group: groupAuth, kind: aString, arg: "NAME", forBackend: true,
		help: "etcd user",
		set:  text(func(s *Settings) *string { return &s.Backend.Username })},
	{name: "password", group: groupAuth, kind: aString, arg: "TEXT", forBackend: true,
		help: "its password; better: -password-file",
		set:  func(s *Settings, text string) error { s.Backend.Password = Secret(text); return nil }},
	{name: "password-file", group: groupAuth, kind: aString, arg: "FILE", forBackend: true,
		help: "file with the password and nothing else",
		set:  text(func(s *Settings) *string { return &s.Backend.PasswordFile })},
	{name: "basic-auth", group: groupAuth, kind: aBool, forBackend: true,
		help: "for confd's command lines; a username is enough",
		set:  boolean(func(s *Settings) *bool { return &s.Backend.BasicAuth })},
	{name: "client-cert", group: groupAuth, kind: aString, arg: "FILE", forBackend: true, vars: []string{"CONFD_CLIENT_CERT"},
		help: "our certificate (PEM)",
		set:  text(func(s *Settings) *string { return &s.Backend.ClientCert })},
	{name: "client-key", group: groupAuth, kind: aString, arg: "FILE", forBackend: true, vars: []string{"CONFD_CLIENT_KEY"},
		help: "its private key (PEM)",
		set:  text(func(s *Settings) *string { return &s.Backend.ClientKey })},
	{name: "client-ca-keys", group: groupAuth, kind: aString, arg: "FILE", forBackend: true, vars: []string{"CONFD_CLIENT_CAKEYS"},
		keys: []string{"client-cakeys"},
		help: "CA certificates that sign etcd's (PEM)",
		set:  text(func(s *Settings) *string { return &s.Backend.ClientCAKeys })},
	{name: "client-insecure", group: groupAuth, kind: aBool, forBackend: true,
		help: "do not verify etcd's certificate",
		set:  boolean(func(s *Settings) *bool { return &s.Backend.ClientInsecure })},

	{name: "interval", group: groupDaemon, kind: aDuration, arg: "TIME", def: "60",
		help: "time between full checks of keys and files",
		set:  duration(func(s *Settings) *time.Duration { return &s.Interval }, minimumInterval)},
	{name: "watch", group: groupDaemon, kind: aBool, def: "true",
		help: "follow changes; -watch=false: read once per interval",
		set:  boolean(func(s *Settings) *bool { return &s.Watch })},
	{name: "shutdown-timeout", group: groupDaemon, kind: aDuration, arg: "TIME", def: "30s",
		help: "how long commands may go on after SIGTERM",
		set:  duration(func(s *Settings) *time.Duration { return &s.ShutdownTimeout }, 0)},
	{name: "listen", group: groupDaemon, kind: aString, arg: "ADDRESS",
		help: "serve metrics, health and status, e.g. 127.0.0.1:9547",
		set:  setListen},

	{name: "log-level", group: groupLog, kind: aString, arg: "LEVEL", def: "info",
		help: "debug, info, warn or error",
		set:  setLogLevel},
	{name: "log-format", group: groupLog, kind: aString, arg: "FORMAT", def: "text",
		help: "text or json",
		set:  oneOf(func(s *Settings) *string { return &s.LogFormat }, "text", "json")},
}
