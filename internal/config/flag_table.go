package config

import (
	"strings"
	"time"
)

// group is a heading of -help.
type group string

const (
	groupModes   group = "Modes (default: keep running and follow the backend)"
	groupApply   group = "What to apply"
	groupBackend group = "Backend"
	groupAuth    group = "Authentication and TLS (etcd)"
	groupDaemon  group = "Daemon"
	groupLog     group = "Logging"
)

// option declares one setting.
type option struct {
	name  string // of the flag
	group group
	arg   string // what stands for the value in -help
	help  string // one line
	// def is the default, as it would be written on the command line.
	def string
	// at points to the value in the settings. Its type says what is a value of
	// the option: see set.
	at func(s *Settings) any
	// check judges a text, or each element of a list. Its error continues a
	// sentence that names the option, and never holds the value of a secret.
	check func(text string) error
	// words are the values, where there are only these.
	words []string
	// lowest is the shortest time allowed.
	lowest time.Duration

	// keys are further names in configuration files, as confd has them.
	keys []string
	// vars are further variables of the environment.
	vars []string
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

// forBackend tells whether the option may stand in the [backend] table of a resource.
func (o *option) forBackend() bool { return o.group == groupBackend || o.group == groupAuth }

// options is every setting there is, in the order of -help. It is not changed.
var options = []option{
	{name: "onetime", group: groupModes,
		help: "apply every resource once, then exit",
		at:   func(s *Settings) any { return &s.oneTime }},
	{name: "noop", group: groupModes,
		help: "print a diff of what would change; touch nothing",
		at:   func(s *Settings) any { return &s.Noop }},
	{name: "exit-code", group: groupModes, where: commandLineOnly,
		help: "with -noop: exit 4 if anything would change",
		at:   func(s *Settings) any { return &s.ExitCode }},
	{name: "check", group: groupModes, where: commandLineOnly,
		help: "check configuration and templates, without a backend",
		at:   func(s *Settings) any { return &s.check }},
	{name: "show", group: groupModes, where: commandLineOnly,
		help: "print the clusters as templates see them",
		at:   func(s *Settings) any { return &s.show }},
	{name: "o", group: groupModes, arg: "FORMAT", def: "table", where: commandLineOnly,
		help: "with -show and -check: table or json",
		at:   func(s *Settings) any { return &s.Output }, words: []string{"table", "json"}},
	{name: "dump", group: groupModes, arg: "FILE", where: commandLineOnly,
		help: "write the keys to FILE (- is stdout); -file reads it",
		at:   func(s *Settings) any { return &s.DumpFile }},
	{name: "sample", group: groupModes, arg: "NAME", where: commandLineOnly,
		help: "print a sample, or list all; write it with -confdir",
		at:   func(s *Settings) any { return &s.Sample }},
	{name: "version", group: groupModes, where: commandLineOnly,
		help: "print the version",
		at:   func(s *Settings) any { return &s.version }},

	{name: "confdir", group: groupApply, arg: "DIR", def: "/etc/pc4patroni",
		help: "holds conf.d/*.toml and templates/",
		at:   func(s *Settings) any { return &s.ConfDir }},
	{name: "config-file", group: groupApply, arg: "FILE", def: "/etc/pc4patroni/pc4patroni.toml", where: notInFile,
		help: "the configuration file",
		at:   func(s *Settings) any { return &s.ConfigFile }},
	{name: "prefix", group: groupApply, arg: "PATH",
		help: "replaces the prefix of every resource",
		at:   func(s *Settings) any { return &s.Prefix }},
	{name: "sync-only", group: groupApply,
		help: "install files without running check_cmd or reload_cmd",
		at:   func(s *Settings) any { return &s.SyncOnly }},
	{name: "destdir", group: groupApply, arg: "DIR",
		help: "put DIR in front of every dest, as make's DESTDIR",
		at:   func(s *Settings) any { return &s.DestDir }},
	{name: "keep-stage-file", group: groupApply,
		help: "keep staged files, for debugging",
		at:   func(s *Settings) any { return &s.KeepStageFile }},
	{name: "wait", group: groupApply, arg: "TIME", def: "10s",
		help: "how long -onetime, -show, -dump wait for the backend",
		at:   func(s *Settings) any { return &s.Wait }, lowest: minimumTimeout},

	{name: "backend", group: groupBackend, arg: "KIND", def: "etcd",
		help: "the store: etcd (the same as etcdv3) or file",
		at:   func(s *Settings) any { return &s.Backend.Kind }, check: checkBackendKind, words: []string{"etcd", "etcdv3", "file"}},
	{name: "node", group: groupBackend, arg: "URL", def: "http://127.0.0.1:2379", keys: []string{"nodes", "etcd-nodes"},
		help: "etcd node; may be repeated or comma-separated",
		at:   func(s *Settings) any { return &s.Backend.Nodes }, check: checkNode},
	{name: "srv-domain", group: groupBackend, arg: "DOMAIN",
		help: "find the nodes by this domain's SRV records",
		at:   func(s *Settings) any { return &s.Backend.SRVDomain }},
	{name: "srv-record", group: groupBackend, arg: "NAME",
		help: "the full name of the SRV record, if it differs",
		at:   func(s *Settings) any { return &s.Backend.SRVRecord }},
	{name: "scheme", group: groupBackend, arg: "SCHEME", keys: []string{"etcd-scheme"},
		help: "for nodes without one: http or https",
		at:   func(s *Settings) any { return &s.Backend.Scheme }, words: []string{"http", "https"}},
	{name: "file", group: groupBackend, arg: "FILE", keys: []string{"files"},
		help: "read keys from a snapshot; may be repeated",
		at:   func(s *Settings) any { return &s.Backend.Files }},
	{name: "dial-timeout", group: groupBackend, arg: "TIME", def: "5s",
		help: "how long connecting to etcd may take",
		at:   func(s *Settings) any { return &s.Backend.DialTimeout }, lowest: minimumTimeout},
	{name: "request-timeout", group: groupBackend, arg: "TIME", def: "5s",
		help: "how long one request to etcd may take",
		at:   func(s *Settings) any { return &s.Backend.RequestTimeout }, lowest: minimumTimeout},

	{name: "username", group: groupAuth, arg: "NAME",
		help: "etcd user",
		at:   func(s *Settings) any { return &s.Backend.Username }},
	{name: "password", group: groupAuth, arg: "TEXT",
		help: "its password; better: -password-file",
		at:   func(s *Settings) any { return &s.Backend.Password }},
	{name: "password-file", group: groupAuth, arg: "FILE",
		help: "file that contains only the password",
		at:   func(s *Settings) any { return &s.Backend.PasswordFile }},
	{name: "basic-auth", group: groupAuth,
		help: "accepted for confd; a username is enough",
		at:   func(s *Settings) any { return &s.Backend.BasicAuth }},
	{name: "client-cert", group: groupAuth, arg: "FILE", vars: []string{"CONFD_CLIENT_CERT"},
		help: "client certificate (PEM)",
		at:   func(s *Settings) any { return &s.Backend.ClientCert }},
	{name: "client-key", group: groupAuth, arg: "FILE", vars: []string{"CONFD_CLIENT_KEY"},
		help: "its private key (PEM)",
		at:   func(s *Settings) any { return &s.Backend.ClientKey }},
	{name: "client-ca-keys", group: groupAuth, arg: "FILE", vars: []string{"CONFD_CLIENT_CAKEYS"},
		keys: []string{"client-cakeys"},
		help: "CA certificates to verify etcd with (PEM)",
		at:   func(s *Settings) any { return &s.Backend.ClientCAKeys }},
	{name: "client-insecure", group: groupAuth,
		help: "do not verify etcd's certificate",
		at:   func(s *Settings) any { return &s.Backend.ClientInsecure }},

	{name: "interval", group: groupDaemon, arg: "TIME", def: "60",
		help: "time between full checks of keys and files",
		at:   func(s *Settings) any { return &s.Interval }, lowest: minimumInterval},
	{name: "watch", group: groupDaemon, def: "true",
		help: "follow changes; -watch=false: read once per interval",
		at:   func(s *Settings) any { return &s.Watch }},
	{name: "shutdown-timeout", group: groupDaemon, arg: "TIME", def: "30s",
		help: "how long running commands may take after SIGTERM",
		at:   func(s *Settings) any { return &s.ShutdownTimeout }},
	{name: "listen", group: groupDaemon, arg: "ADDRESS",
		help: "serve metrics, health and status, e.g. 127.0.0.1:9547",
		at:   func(s *Settings) any { return &s.Listen }, check: checkListen},
	{name: "web-config-file", group: groupDaemon, arg: "FILE",
		help: "TLS and basic auth for -listen, as Prometheus has it",
		at:   func(s *Settings) any { return &s.WebConfigFile }},

	{name: "log-level", group: groupLog, arg: "LEVEL", def: "info",
		help: "debug, info, warn or error",
		at:   func(s *Settings) any { return &s.LogLevel }, words: []string{"debug", "info", "warn", "error"}},
	{name: "log-format", group: groupLog, arg: "FORMAT", def: "text",
		help: "text or json",
		at:   func(s *Settings) any { return &s.LogFormat }, words: []string{"text", "json"}},
}
