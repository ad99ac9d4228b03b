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
	at any
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

// options is every setting there is, in the order of -help. They set nothing:
// each Settings has its own that do, in the same order.
var options = new(Settings).options()

// options returns the options that set s.
func (s *Settings) options() []*option {
	return []*option{
		{name: "onetime", group: groupModes, at: &s.oneTime,
			help: "apply every resource once, then exit"},
		{name: "noop", group: groupModes, at: &s.Noop,
			help: "print a diff of what would change; touch nothing"},
		{name: "exit-code", group: groupModes, at: &s.ExitCode, where: commandLineOnly,
			help: "with -noop: exit 4 if anything would change"},
		{name: "check", group: groupModes, at: &s.check, where: commandLineOnly,
			help: "check configuration and templates, without a backend"},
		{name: "show", group: groupModes, at: &s.show, where: commandLineOnly,
			help: "print the clusters as templates see them"},
		{name: "o", group: groupModes, at: &s.Output, arg: "FORMAT", def: "table", where: commandLineOnly, words: []string{"table", "json"},
			help: "with -show and -check: table or json"},
		{name: "dump", group: groupModes, at: &s.DumpFile, arg: "FILE", where: commandLineOnly,
			help: "write the keys to FILE (- is stdout); -file reads it"},
		{name: "sample", group: groupModes, at: &s.Sample, arg: "NAME", where: commandLineOnly,
			help: "print a sample, or list all; write it with -confdir"},
		{name: "version", group: groupModes, at: &s.version, where: commandLineOnly,
			help: "print the version"},

		{name: "confdir", group: groupApply, at: &s.ConfDir, arg: "DIR", def: "/etc/pc4patroni",
			help: "holds conf.d/*.toml and templates/"},
		{name: "config-file", group: groupApply, at: &s.ConfigFile, arg: "FILE", def: "/etc/pc4patroni/pc4patroni.toml", where: notInFile,
			help: "the configuration file"},
		{name: "prefix", group: groupApply, at: &s.Prefix, arg: "PATH",
			help: "replaces the prefix of every resource"},
		{name: "sync-only", group: groupApply, at: &s.SyncOnly,
			help: "install files without running check_cmd or reload_cmd"},
		{name: "destdir", group: groupApply, at: &s.DestDir, arg: "DIR",
			help: "put DIR in front of every dest, as make's DESTDIR"},
		{name: "keep-stage-file", group: groupApply, at: &s.KeepStageFile,
			help: "keep staged files, for debugging"},
		{name: "wait", group: groupApply, at: &s.Wait, arg: "TIME", def: "10s", lowest: minimumTimeout,
			help: "how long -onetime, -show, -dump wait for the backend"},

		{name: "backend", group: groupBackend, at: &s.Backend.Kind, arg: "KIND", def: "etcd",
			check: checkBackendKind, words: []string{"etcd", "etcdv3", "file"},
			help: "the store: etcd (the same as etcdv3) or file"},
		{name: "node", group: groupBackend, at: &s.Backend.Nodes, arg: "URL", def: "http://127.0.0.1:2379", keys: []string{"nodes", "etcd-nodes"},
			check: checkNode,
			help:  "etcd node; may be repeated or comma-separated"},
		{name: "srv-domain", group: groupBackend, at: &s.Backend.SRVDomain, arg: "DOMAIN",
			help: "find the nodes by this domain's SRV records"},
		{name: "srv-record", group: groupBackend, at: &s.Backend.SRVRecord, arg: "NAME",
			help: "the full name of the SRV record, if it differs"},
		{name: "scheme", group: groupBackend, at: &s.Backend.Scheme, arg: "SCHEME", keys: []string{"etcd-scheme"}, words: []string{"http", "https"},
			help: "for nodes without one: http or https"},
		{name: "file", group: groupBackend, at: &s.Backend.Files, arg: "FILE", keys: []string{"files"},
			help: "read keys from a snapshot; may be repeated"},
		{name: "dial-timeout", group: groupBackend, at: &s.Backend.DialTimeout, arg: "TIME", def: "5s", lowest: minimumTimeout,
			help: "how long connecting to etcd may take"},
		{name: "request-timeout", group: groupBackend, at: &s.Backend.RequestTimeout, arg: "TIME", def: "5s", lowest: minimumTimeout,
			help: "how long one request to etcd may take"},

		{name: "username", group: groupAuth, at: &s.Backend.Username, arg: "NAME",
			help: "etcd user"},
		{name: "password", group: groupAuth, at: &s.Backend.Password, arg: "TEXT",
			help: "its password; better: -password-file"},
		{name: "password-file", group: groupAuth, at: &s.Backend.PasswordFile, arg: "FILE",
			help: "file that contains only the password"},
		{name: "basic-auth", group: groupAuth, at: &s.Backend.BasicAuth,
			help: "accepted for confd; a username is enough"},
		{name: "client-cert", group: groupAuth, at: &s.Backend.ClientCert, arg: "FILE", vars: []string{"CONFD_CLIENT_CERT"},
			help: "client certificate (PEM)"},
		{name: "client-key", group: groupAuth, at: &s.Backend.ClientKey, arg: "FILE", vars: []string{"CONFD_CLIENT_KEY"},
			help: "its private key (PEM)"},
		{name: "client-ca-keys", group: groupAuth, at: &s.Backend.ClientCAKeys, arg: "FILE", vars: []string{"CONFD_CLIENT_CAKEYS"},
			keys: []string{"client-cakeys"},
			help: "CA certificates to verify etcd with (PEM)"},
		{name: "client-insecure", group: groupAuth, at: &s.Backend.ClientInsecure,
			help: "do not verify etcd's certificate"},

		{name: "interval", group: groupDaemon, at: &s.Interval, arg: "TIME", def: "60", lowest: minimumInterval,
			help: "time between full checks of keys and files"},
		{name: "watch", group: groupDaemon, at: &s.Watch, def: "true",
			help: "follow changes; -watch=false: read once per interval"},
		{name: "shutdown-timeout", group: groupDaemon, at: &s.ShutdownTimeout, arg: "TIME", def: "30s",
			help: "how long running commands may take after SIGTERM"},
		{name: "listen", group: groupDaemon, at: &s.Listen, arg: "ADDRESS", check: checkListen,
			help: "serve metrics, health and status, e.g. 127.0.0.1:9547"},
		{name: "web-config-file", group: groupDaemon, at: &s.WebConfigFile, arg: "FILE",
			help: "TLS and basic auth for -listen, as Prometheus has it"},

		{name: "log-level", group: groupLog, at: &s.LogLevel, arg: "LEVEL", def: "info", words: []string{"debug", "info", "warn", "error"},
			help: "debug, info, warn or error"},
		{name: "log-format", group: groupLog, at: &s.LogFormat, arg: "FORMAT", def: "text", words: []string{"text", "json"},
			help: "text or json"},
	}
}
