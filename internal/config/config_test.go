package config

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writeConfig writes a configuration file that only its owner can read.
func writeConfig(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pc4patroni.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load reads settings as the program would. The configuration file is one
// that was given, so that none of the host's is read.
func load(t *testing.T, config string, environ []string, args ...string) (*Settings, []string, error) {
	t.Helper()
	environ = append([]string{"PC4PATRONI_CONFIG_FILE=" + writeConfig(t, config)}, environ...)
	return Invocation{Name: "pc4patroni", Args: args, Environ: environ}.Load()
}

func mustLoad(t *testing.T, config string, environ []string, args ...string) *Settings {
	t.Helper()
	s, _, err := load(t, config, environ, args...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaults(t *testing.T) {
	s, warnings, err := Invocation{Name: "pc4patroni", Args: []string{"-config-file", writeConfig(t, "")}}.Load()
	if err != nil || warnings != nil {
		t.Fatalf("err = %v, warnings %q", err, warnings)
	}
	s.from, s.ConfigFile = nil, ""
	want := &Settings{
		ConfDir: "/etc/pc4patroni",
		Wait:    10 * time.Second,
		Output:  "table",
		Backend: Backend{
			Kind: "etcd", Nodes: []string{"http://127.0.0.1:2379"},
			DialTimeout: 5 * time.Second, RequestTimeout: 5 * time.Second,
		},
		Interval: time.Minute, Watch: true, ShutdownTimeout: 30 * time.Second,
		LogLevel: slog.LevelInfo, LogFormat: "text",
	}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(Settings{})); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestCalledConfd(t *testing.T) {
	s := Invocation{Name: "confd"}.defaults()
	if s.ConfDir != "/etc/confd" || s.ConfigFile != "/etc/confd/confd.toml" {
		t.Errorf("confdir %s, config file %s; want confd's", s.ConfDir, s.ConfigFile)
	}
	s = Invocation{Name: "pc4patroni"}.defaults()
	if s.ConfigFile != "/etc/pc4patroni/pc4patroni.toml" {
		t.Errorf("config file %s", s.ConfigFile)
	}
}

// TestPatroniImage is the command line that Patroni's container image starts
// confd with.
func TestPatroniImage(t *testing.T) {
	s := mustLoad(t, "", nil, "-prefix=/service/demo", "-interval=10", "-backend", "etcdv3",
		"-node", "http://etcd1:2379", "-node", "http://etcd2:2379")
	if s.Prefix != "/service/demo" || s.Interval != 10*time.Second || s.Backend.Kind != "etcd" {
		t.Errorf("got %+v", s)
	}
	if diff := cmp.Diff([]string{"http://etcd1:2379", "http://etcd2:2379"}, s.Backend.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

// TestPrecedence sets one value from growing subsets of the sources.
func TestPrecedence(t *testing.T) {
	tests := []struct {
		file, env, flag string
		want            string
	}{
		{"", "", "", "default"},
		{"file", "", "", "file"},
		{"file", "env", "", "env"},
		{"file", "env", "flag", "flag"},
		{"", "env", "flag", "flag"},
		{"file", "", "flag", "flag"},
		{"", "env", "", "env"},
		{"", "", "flag", "flag"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			var config string
			var environ, args []string
			if tt.file != "" {
				config = `
prefix = "/file"
interval = 7
watch = false
nodes = ["http://file1:1", "http://file2:1"]
`
			}
			if tt.env != "" {
				environ = []string{"PC4PATRONI_PREFIX=/env", "PC4PATRONI_INTERVAL=8s", "PC4PATRONI_WATCH=true", "PC4PATRONI_NODE=http://env1:1,http://env2:1"}
			}
			if tt.flag != "" {
				args = []string{"-prefix", "/flag", "--interval=9", "-watch=false", "-node", "http://flag1:1", "-node", "http://flag2:1,http://flag3:1"}
			}
			s := mustLoad(t, config, environ, args...)
			type values struct {
				Prefix   string
				Interval time.Duration
				Watch    bool
				Nodes    []string
			}
			want := map[string]values{
				"default": {"", time.Minute, true, []string{"http://127.0.0.1:2379"}},
				"file":    {"/file", 7 * time.Second, false, []string{"http://file1:1", "http://file2:1"}},
				"env":     {"/env", 8 * time.Second, true, []string{"http://env1:1", "http://env2:1"}},
				"flag":    {"/flag", 9 * time.Second, false, []string{"http://flag1:1", "http://flag2:1", "http://flag3:1"}},
			}[tt.want]
			if diff := cmp.Diff(want, values{s.Prefix, s.Interval, s.Watch, s.Backend.Nodes}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEverySource gives every option a value in every way that it may be given.
func TestEverySource(t *testing.T) {
	value := func(o *option) string {
		switch o.name {
		case "backend":
			return "etcdv3"
		case "node":
			return "https://h:1"
		case "scheme":
			return "https"
		case "listen":
			return "127.0.0.1:1"
		case "log-level":
			return "debug"
		case "log-format", "o":
			return "json"
		}
		switch o.at.(type) {
		case *bool:
			return "true"
		case *time.Duration:
			return "3s"
		default:
			return "/x"
		}
	}
	for i, o := range options {
		t.Run(o.name, func(t *testing.T) {
			want := &Settings{}
			if err := want.options()[i].set(value(o)); err != nil {
				t.Fatal(err)
			}
			compare := func(how string, got []assignment) {
				t.Helper()
				s := &Settings{from: map[string]source{}}
				if errs := s.put(got, fromFlag); errs != nil {
					t.Error(errs)
				}
				s.from = nil
				if diff := cmp.Diff(want, s, cmp.AllowUnexported(Settings{})); diff != "" {
					t.Errorf("by %s (-want +got):\n%s", how, diff)
				}
			}
			flags, err := Invocation{Args: []string{"-" + o.name + "=" + value(o)}}.parseFlags()
			if err != nil {
				t.Fatal(err)
			}
			compare("flag", flags.assigned)
			for _, name := range append([]string{o.variable()}, o.vars...) {
				variables, _ := Invocation{Environ: []string{name + "=" + value(o)}}.readEnvironment()
				if o.where == commandLineOnly {
					if len(variables) != 0 {
						t.Errorf("%s is read", name)
					}
					continue
				}
				compare(name, variables)
			}
			var inFile any = value(o)
			if o.isBool() {
				inFile = true
			}
			for _, key := range append([]string{o.name, underscores(o.name)}, o.keys...) {
				values, _, errs := tableValues(map[string]any{key: inFile}, func(o *option) bool { return o.where == anywhere },
					func(_ string, err error) error { return err })
				if o.where != anywhere {
					if len(errs) != 1 {
						t.Errorf("key %s is accepted in a file", key)
					}
					continue
				}
				if errs != nil {
					t.Fatal(errs)
				}
				compare("key "+key, values)
			}
		})
	}
}

// TestConfdFile reads a file as confd's guide shows it, without the keys of
// other backends.
func TestConfdFile(t *testing.T) {
	s := mustLoad(t, `
backend = "etcd"
client_cakeys = "/etc/confd/ssl/ca.crt"
client_cert = "/etc/confd/ssl/client.crt"
client_key = "/etc/confd/ssl/client.key"
confdir = "/etc/confd"
log-level = "debug"
interval = 600
nodes = [
  "https://127.0.0.1:4001",
]
noop = false
prefix = "/production"
scheme = "https"
srv_domain = "etcd.example.com"
sync-only = true
watch = true
basic_auth = true
username = "u"
password = "p"
`, nil)
	if s.Backend.SRVDomain != "etcd.example.com" || len(s.Backend.Nodes) != 0 {
		t.Errorf("SRV records do not win over nodes: %+v", s.Backend)
	}
	if s.Interval != 10*time.Minute || !s.SyncOnly || s.Noop || s.Mode == OneTime || s.LogLevel != slog.LevelDebug || s.ConfDir != "/etc/confd" {
		t.Errorf("got %+v", s)
	}
}

func TestConfdVariables(t *testing.T) {
	s := mustLoad(t, "", []string{
		"CONFD_CLIENT_CERT=/c", "CONFD_CLIENT_KEY=/k", "CONFD_CLIENT_CAKEYS=/confd", "PC4PATRONI_CLIENT_CA_KEYS=/ours",
	})
	b := s.Backend
	if b.ClientCert != "/c" || b.ClientKey != "/k" || b.ClientCAKeys != "/ours" {
		t.Errorf("got %+v", b)
	}
	// The default node speaks TLS once certificates are configured.
	if diff := cmp.Diff([]string{"https://127.0.0.1:2379"}, b.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

func TestEmptyMeansUnset(t *testing.T) {
	s := mustLoad(t, "nodes = []\n", []string{"PC4PATRONI_PREFIX=", "PC4PATRONI_INTERVAL=", "PC4PATRONI_NODE="}, "-node", "", "-node", ",")
	if diff := cmp.Diff([]string{"http://127.0.0.1:2379"}, s.Backend.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

func TestResolve(t *testing.T) {
	tests := []struct {
		name, config string
		environ      []string
		args         []string
		ok           func(*Settings) bool
	}{
		{"file implies its backend", "", nil, []string{"-file", "a.json", "-file", "b.json"},
			func(s *Settings) bool { return s.Backend.Kind == "file" && len(s.Backend.Files) == 2 }},
		{"file wins over a weaker backend", "backend = \"etcd\"\n", nil, []string{"-file", "a.json"},
			func(s *Settings) bool { return s.Backend.Kind == "file" }},
		{"a stronger backend wins over file", "file = \"a.json\"\n", nil, []string{"-backend", "etcd"},
			func(s *Settings) bool { return s.Backend.Kind == "etcd" }},
		{"a stronger node wins over file", "file = [\"a.json\"]\n", nil, []string{"-node", "h:1"},
			func(s *Settings) bool { return s.Backend.Kind == "etcd" }},
		{"a stronger node wins over SRV", "srv_domain = \"example.com\"\n", nil, []string{"-node", "h:1"},
			func(s *Settings) bool { return s.Backend.SRVDomain == "" && len(s.Backend.Nodes) == 1 }},
		{"noop is once", "", nil, []string{"-noop"}, func(s *Settings) bool { return s.Mode == OneTime && s.Noop }},
		{"onetime of a noop file", "noop = true\n", nil, []string{"-onetime"}, func(s *Settings) bool { return s.Mode == OneTime && s.Noop }},
		{"a typed mode wins", "onetime = true\nnoop = true\n", nil, []string{"-check"},
			func(s *Settings) bool { return s.Mode == Check }},
		{"a noop that was not typed leaves the daemon a daemon", "noop = true\n", nil, nil, func(s *Settings) bool { return s.Mode == Daemon && s.Noop }},
		{"unless a status is asked for", "noop = true\n", nil, []string{"-exit-code"}, func(s *Settings) bool { return s.Mode == OneTime && s.Noop }},
		{"a daemon that only says", "", nil, []string{"-noop", "-onetime=false"}, func(s *Settings) bool { return s.Mode == Daemon && s.Noop }},
		{"a stronger node wins over backend", "backend = \"file\"\nfile = \"a.json\"\n", nil, []string{"-node", "h:1"},
			func(s *Settings) bool { return s.Backend.Kind == "etcd" && s.Backend.Nodes[0] == "h:1" }},
		{"a stronger file wins over nodes", "nodes = [\"h:1\"]\n", nil, []string{"-file", "a.json"},
			func(s *Settings) bool { return s.Backend.Kind == "file" }},
		{"backend chooses", "nodes = [\"h:1\"]\nfile = \"a.json\"\nbackend = \"file\"\n", nil, nil,
			func(s *Settings) bool { return s.Backend.Kind == "file" }},
		{"a mode can be taken back", "onetime = true\n", nil, []string{"-onetime=false"}, func(s *Settings) bool { return s.Mode != OneTime }},
		{"version wins over all", "nonsense = 1\n", []string{"PC4PATRONI_WAIT=x"}, []string{"-check", "-version", "-show"},
			func(s *Settings) bool { return s.Mode == Version }},
		{"stronger password", "username = \"u\"\npassword = \"p\"\n", nil, []string{"-password-file", "/p"},
			func(s *Settings) bool { return s.Backend.Password == "" && s.Backend.PasswordFile == "/p" }},
		{"stronger password file", "username = \"u\"\npassword_file = \"/p\"\n", []string{"PC4PATRONI_PASSWORD=p"}, nil,
			func(s *Settings) bool { return s.Backend.Password == "p" && s.Backend.PasswordFile == "" }},
		{"destdir becomes absolute", "", nil, []string{"-destdir", "out"}, func(s *Settings) bool { return filepath.IsAbs(s.DestDir) }},
		{"levels of confd", "", nil, []string{"-log-level", "warning"}, func(s *Settings) bool { return s.LogLevel == slog.LevelWarn }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if s := mustLoad(t, tt.config, tt.environ, tt.args...); !tt.ok(s) {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"-intervall", "5"}, `unknown flag -intervall (did you mean "-interval"?)`},
		{[]string{"-client_cert=x"}, `unknown flag -client_cert (did you mean "-client-cert"?)`},
		{[]string{"-nodes", "x"}, `unknown flag -nodes (did you mean "-node"?)`},
		{[]string{"-qqqqqqqq"}, `unknown flag -qqqqqqqq`},
		{[]string{"-node"}, `flag -node needs a value`},
		{[]string{"---node"}, `bad flag "---node"`},
		{[]string{"-onetime", "-=x"}, `bad flag "-=x"`},
		{[]string{"onetime"}, `unexpected argument "onetime": every flag begins with a dash`},
		{[]string{"-watch", "false", "-onetime"}, `unexpected argument "false": write -watch=false`},
		{[]string{"-watch=no"}, `flag -watch must be true or false, not "no"`},
		{[]string{"-interval", "often"}, `flag -interval must be a number of seconds, or a duration such as 1m30s, not "often"`},
		{[]string{"-interval", "60ms"}, `flag -interval must be at least 1s, not 60ms`},
		{[]string{"-interval", "0"}, `flag -interval must be at least 1s, not 0s`},
		{[]string{"-wait", "-1"}, `flag -wait must be at least 10ms, not -1s`},
		{[]string{"-wait", "inf"}, `flag -wait must be a number of seconds, or a duration such as 1m30s, not "inf"`},
		{[]string{"-dial-timeout", "0"}, `flag -dial-timeout must be at least 10ms, not 0s`},
		{[]string{"-backend", "consul"}, `flag -backend cannot be "consul": only etcd (API v3) and file are supported`},
		{[]string{"-backend", "etdc"}, `flag -backend must be etcd, etcdv3 or file, not "etdc" (did you mean "etcd"?)`},
		{[]string{"-auth-token", "x"}, `flag -auth-token has no effect: it belongs to a backend other than etcd and file`},
		{[]string{"-debug"}, `flag -debug has no effect: set log-level to debug`},
		{[]string{"-dryrun"}, `unknown flag -dryrun (did you mean "-noop"?)`},
		{[]string{"-check-only"}, `unknown flag -check-only (did you mean "-check"?)`},
		{[]string{"-v"}, `unknown flag -v (did you mean "-version"?)`},
		{[]string{"-node", "h:1", "-file", "x"}, `file and node cannot both be set; choose with backend`},
		{[]string{"-secret-keyring=x"}, `flag -secret-keyring has no effect: encrypted values are not decrypted; keep secrets in files that the proxy includes`},
		{[]string{"-node", "http://h:1,https://h:2"}, `some nodes begin with http:// and some with https://: all must have the same scheme`},
		{[]string{"-node", "htpp://h:1"}, `flag -node must be like http://10.0.0.1:2379, not with scheme "htpp" (did you mean "http"?)`},
		{[]string{"-node", "http://h:1/v3"}, `flag -node must be like http://10.0.0.1:2379, without a path; keys are named by -prefix`},
		{[]string{"-node", "http://u:hunter2@h:1"}, `flag -node must not contain a user name and password; use -username and -password-file`},
		{[]string{"-node", "http://u:hunter2@h:port"}, `flag -node must be like http://10.0.0.1:2379`},
		{[]string{"-scheme", "htps"}, `flag -scheme must be http or https, not "htps" (did you mean "https"?)`},
		{[]string{"-log-level", "loud"}, `flag -log-level must be debug, info, warn or error, not "loud"`},
		{[]string{"-log-format", "jsn"}, `flag -log-format must be text or json, not "jsn" (did you mean "json"?)`},
		{[]string{"-listen", "9547"}, `flag -listen must be an address and a port, such as 127.0.0.1:9547, not "9547"`},
		{[]string{"-listen", ":http"}, `flag -listen must end with a port number, such as 127.0.0.1:9547, not ":http"`},
		{[]string{"-onetime", "-check"}, `-onetime and -check cannot be used together`},
		{[]string{"-noop", "-show"}, `-noop and -show cannot be used together`},
		{[]string{"-show", "-dump", "x"}, `-show and -dump cannot be used together`},
		{[]string{"-exit-code"}, `-exit-code needs -noop`},
		{[]string{"-o", "json"}, `-o needs -show or -check`},
		{[]string{"-backend", "etcd", "-file", "x"}, `backend etcd cannot read a file: set one of the two`},
		{[]string{"-backend", "file"}, `backend file needs a snapshot: name one with file`},
		{[]string{"-username", "u"}, `username needs a password: set password-file`},
		{[]string{"-password", "hunter2"}, `a password needs a user: set username`},
		{[]string{"-username", "u", "-password", "hunter2", "-password-file", "x"}, `password and password-file cannot both be set`},
		{[]string{"-basic-auth"}, `basic-auth needs username`},
		{[]string{"-client-cert", "x"}, `client-cert and client-key must be set together`},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			_, _, err := load(t, "", nil, tt.args...)
			if _, ok := errors.AsType[*UsageError](err); !ok || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestHelpWins(t *testing.T) {
	for _, arg := range []string{"-h", "-help", "--help"} {
		if _, _, err := load(t, "", nil, "-onetime", arg, "-unknown"); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v, want flag.ErrHelp", arg, err)
		}
	}
}

func TestConfigFileErrors(t *testing.T) {
	tests := []struct {
		name, config string
		want         []string
	}{
		{"unknown keys, all of them", "prefix = \"/a\"\nintervall = 5\n\n[backnd]\nx = 1\n", []string{
			`line 2: unknown key "intervall" (did you mean "interval"?)`,
			`line 4: unknown key "backnd" (did you mean "backend"?)`,
		}},
		{"values", "interval = 0\nwatch = \"yes\"\nnodes = [1]\nprefix = 3\nlog_level = \"loud\"\ninterval-x = 1\nwait = true\nnode_ = 1.5\n", []string{
			`line 1: key "interval" must be at least 1s, not 0s`,
			`line 2: key "watch" must be true or false, without quotes`,
			`line 3: key "nodes" must be an array of strings`,
			`line 4: key "prefix" must be a string, in quotes`,
			`line 5: key "log_level" must be debug, info, warn or error, not "loud"`,
			`line 6: unknown key "interval-x" (did you mean "interval"?)`,
			`line 7: key "wait" must be a number of seconds, or a duration such as "1m30s"`,
			`line 8: unknown key "node_" (did you mean "node"?)`,
		}},
		{"one option twice", "client_cert = \"a\"\nclient-cert = \"b\"\n", []string{
			`line 1: key "client_cert" means the same as "client-cert"; keep one of them`,
		}},
		{"nodes and node", "nodes = [\"a:1\"]\nnode = \"b:1\"\n", []string{
			`line 1: key "nodes" means the same as "node"; keep one of them`,
		}},
		{"not in a file", "config-file = \"x\"\nversion = true\n\ncheck = true\nshow = false\ndump = \"x\"\no = \"json\"\nexit_code = true\n", []string{
			`line 1: key "config-file" does not belong in a file: use -config-file on the command line, or PC4PATRONI_CONFIG_FILE`,
			`line 2: key "version" does not belong in a file: use -version on the command line`,
			`line 4: key "check" does not belong in a file: use -check on the command line`,
			`line 5: key "show" does not belong in a file: use -show on the command line`,
			`line 6: key "dump" does not belong in a file: use -dump on the command line`,
			`line 7: key "o" does not belong in a file: use -o on the command line`,
			`line 8: key "exit_code" does not belong in a file: use -exit-code on the command line`,
		}},
		{"below [confd]", "[confd]\nprefix = \"/a\"\nnods = \"b:1\"\n", []string{`line 3: unknown key "nods" (did you mean "node"?)`}},
		{"another name of a key, misspelt", "ndoes = [\"b:1\"]\n", []string{`line 1: unknown key "ndoes" (did you mean "nodes"?)`}},
		{"syntax", "prefix = /service\n", []string{`line 1: the value of "prefix" is not TOML (text needs quotes)`}},
		{"password without quotes", "password = hunter2\n", []string{`line 1: the value of "password" is not TOML (text needs quotes)`}},
		{"password of a wrong type", "password = 12345\n", []string{`line 1: key "password" must be a string, in quotes`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeConfig(t, tt.config)
			_, _, err := Invocation{Name: "pc4patroni", Args: []string{"-config-file", path}}.Load()
			if err == nil {
				t.Fatal("no error")
			}
			var want []string
			for _, w := range tt.want {
				want = append(want, "read "+path+": "+w)
			}
			if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMissingConfigFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.toml")
	for _, inv := range []Invocation{
		{Name: "pc4patroni", Args: []string{"-config-file", missing}},
		{Name: "pc4patroni", Environ: []string{"PC4PATRONI_CONFIG_FILE=" + missing}},
	} {
		if _, _, err := inv.Load(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
			t.Errorf("err = %v, want one that names %s", err, missing)
		}
	}
	s := &Settings{from: map[string]source{}}
	if _, err := s.readFile(missing, false); err != nil {
		t.Errorf("a default file that is missing: %v", err)
	}
}

func TestEnvironmentErrors(t *testing.T) {
	_, _, err := load(t, "", []string{"PC4PATRONI_INTERVAL=soon", "PC4PATRONI_NODE=http://u:hunter2@h:1"})
	want := `environment variable PC4PATRONI_NODE must not contain a user name and password; use -username and -password-file
environment variable PC4PATRONI_INTERVAL must be a number of seconds, or a duration such as 1m30s, not "soon"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		name    string
		environ []string
		args    []string
		want    []string
	}{
		{"password on the command line", nil, []string{"-username", "u", "-password", "hunter2"},
			[]string{"a password on the command line is visible to every user of this host; use -password-file"}},
		{"variable with a slip", []string{"PC4PATRONI_NODES=h:1", "PC4PATRONI_SERVICE_HOST=10.0.0.1", "PC4PATRONI_PORT=tcp://10.0.0.1:80"}, nil,
			[]string{`unknown environment variable PC4PATRONI_NODES (did you mean "PC4PATRONI_NODE"?)`}},
		{"variable of a flag", []string{"PC4PATRONI_SHOW=1"}, nil,
			[]string{"environment variable PC4PATRONI_SHOW has no effect: -show works only on the command line"}},
		{"password in the environment", []string{"PC4PATRONI_PASSWORD=p", "PC4PATRONI_USERNAME=u"}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := load(t, "", tt.environ, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestConfdKeys reads what confd.toml files hold that means nothing any more:
// a warning each, and the settings beside it count.
func TestConfdKeys(t *testing.T) {
	const config = `debug = true
verbose = false
quiet = true
prefix = "/a"
filter = "*"
auth_token = "hunter2"
secret_keyring = "x"

[confd]
etcd_nodes = ["h:1"]
table = "t"
`
	path := writeConfig(t, config)
	s, warnings, err := Invocation{Name: "pc4patroni", Args: []string{"-config-file", path}}.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`line 1: key "debug" has no effect: set log-level to debug`,
		`line 2: key "verbose" has no effect: set log-level to info`,
		`line 3: key "quiet" has no effect: set log-level to error`,
		`line 5: key "filter" has no effect: list every snapshot with file`,
		`line 6: key "auth_token" has no effect: it belongs to a backend other than etcd and file`,
		`line 7: key "secret_keyring" has no effect: encrypted values are not decrypted; keep secrets in files that the proxy includes`,
		`line 11: key "table" has no effect: it belongs to a backend other than etcd and file`,
	}
	for i := range want {
		want[i] = path + ": " + want[i]
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if s.Prefix != "/a" || !cmp.Equal(s.Backend.Nodes, []string{"h:1"}) {
		t.Errorf("prefix %q, nodes %q: the settings beside them are lost", s.Prefix, s.Backend.Nodes)
	}
}

func TestReadablePasswordWarns(t *testing.T) {
	path := writeConfig(t, "username = \"u\"\npassword = \"hunter2\"\n")
	inv := Invocation{Name: "pc4patroni", Args: []string{"-config-file", path}}
	if _, warnings, err := inv.Load(); err != nil || warnings != nil {
		t.Fatalf("warnings %q, err %v for a file of mode 0600", warnings, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, warnings, err := inv.Load()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{path + " contains a password, and every user of this host can read it"}; !cmp.Equal(want, warnings) {
		t.Errorf("warnings %q, want %q", warnings, want)
	}
}

func TestSecretsStayHidden(t *testing.T) {
	s := mustLoad(t, "", nil, "-username", "u", "-password", "hunter2")
	if s.Backend.Password != "hunter2" {
		t.Fatal("the password is lost")
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "settings", s, "password", s.Backend.Password)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "settings", s, "password", s.Backend.Password)
	fmt.Fprintf(&b, "%v %+v %#v %s", s, s, s, s.Backend.Password)
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if all := b.String() + string(encoded); strings.Contains(all, "hunter2") || !strings.Contains(all, hidden) {
		t.Errorf("the password is shown, or its place is not:\n%s", all)
	}
}

// FuzzConfigFile checks that no configuration file makes the program panic,
// and that errors name the file.
func FuzzConfigFile(f *testing.F) {
	f.Add("nodes = [\"http://a:1\"]\ninterval = 5\n")
	f.Add("password = \"x\"\nusername = 'y'\nfile = \"\"\nwatch = false\nwait = 1.5\n")
	f.Add("[node]\nx = 1\n")
	f.Fuzz(func(t *testing.T, config string) {
		path := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := Invocation{Name: "pc4patroni", Args: []string{"-config-file", path}}.Load()
		if err == nil {
			return
		}
		if _, usage := errors.AsType[*UsageError](err); !usage && !strings.Contains(err.Error(), path) {
			t.Errorf("error %q does not name the file", err)
		}
	})
}

func TestKeepFixed(t *testing.T) {
	old := mustLoad(t, "listen = \"127.0.0.1:1\"\n", nil)
	tests := []struct {
		config string
		want   []string
	}{
		{"listen = \"127.0.0.1:1\"\ninterval = 5\nlog_level = \"debug\"\n", nil},
		{"", []string{"listen"}},
		{"listen = \"127.0.0.1:1\"\nlog_format = \"json\"\n", []string{"log-format"}},
		{"listen = \"127.0.0.1:1\"\nonetime = true\n", []string{"onetime"}},
		{"listen = \"127.0.0.1:1\"\nnoop = true\n", []string{"noop"}},
	}
	for _, tt := range tests {
		s := mustLoad(t, tt.config, nil)
		if diff := cmp.Diff(tt.want, s.KeepFixed(old)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.config, diff)
		}
		if s.Listen != old.Listen || s.LogFormat != "text" || s.Mode != Daemon || s.Noop {
			t.Errorf("%q: what cannot change is not as it was: %+v", tt.config, s)
		}
	}
}
