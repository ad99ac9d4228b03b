package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// loadConfd reads settings as a program would that is called confd.
func loadConfd(t *testing.T, config string, environ []string, args ...string) (*Settings, []string, error) {
	t.Helper()
	environ = append([]string{"CONFD_CONFIG_FILE=" + writeConfig(t, config)}, environ...)
	return Invocation{Name: "confd", Args: args, Environ: environ}.Load()
}

// TestConfdSubcommands takes the command lines of abtreece/confd: flags stand
// before the subcommand and after it.
func TestConfdSubcommands(t *testing.T) {
	const joined = "prefix replaces the prefix of every resource, as in confd; abtreece/confd puts it in front of theirs"
	tests := []struct {
		line     string
		want     func(s *Settings) bool
		warnings []string
	}{
		{"etcd --node http://h:2379 --onetime", func(s *Settings) bool { return s.Backend.Nodes[0] == "http://h:2379" && s.Mode == OneTime }, nil},
		{"--onetime --interval=10 etcd -n h:1 -n h:2", func(s *Settings) bool {
			return s.Interval == 10*time.Second && cmp.Equal(s.Backend.Nodes, []string{"h:1", "h:2"})
		}, nil},
		{"etcdv3 --watch", func(s *Settings) bool { return s.Backend.Kind == "etcd" && s.Mode == Daemon && s.Watch }, nil},
		{"file --file a.json --file b.json", func(s *Settings) bool {
			return s.Backend.Kind == "file" && cmp.Equal(s.Backend.Files, []string{"a.json", "b.json"})
		}, nil},
		{"--check-config etcd", func(s *Settings) bool { return s.Mode == Check }, nil},
		{"--validate etcd", func(s *Settings) bool { return s.Mode == Check }, nil},
		{"etcd --prefix /a", func(s *Settings) bool { return s.Prefix == "/a" }, []string{joined}},
		{"-prefix /a -backend etcdv3", func(s *Settings) bool { return s.Prefix == "/a" }, nil},
		{"--noop --diff --diff-context 5 --color etcd", func(s *Settings) bool { return s.Noop && s.Mode == OneTime }, []string{
			"flag -diff has no effect: -noop always prints a diff",
			"flag -diff-context has no effect: the diff has three lines of context",
			"flag -color has no effect: the diff is coloured at a terminal",
		}},
		{"etcd --watch --debounce 2s --batch-interval=5s --template-cache", func(s *Settings) bool { return s.Mode == Daemon }, []string{
			"flag -debounce has no effect: changes that come together are applied together",
			"flag -batch-interval has no effect: changes that come together are applied together",
			"flag -template-cache has no effect: templates are read once",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			s, warnings, err := loadConfd(t, "", nil, strings.Fields(tt.line)...)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.want(s) {
				t.Errorf("settings are not what the line says: %+v", s)
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestConfdUsageErrors names what cannot be the same as in confd.
func TestConfdUsageErrors(t *testing.T) {
	const other = "has no effect: it belongs to a backend other than etcd and file"
	tests := []struct{ line, want string }{
		{"consul --node h:8500", `"consul" is not a backend of this program: only etcd (API v3) and file are supported`},
		{"--onetime env", `"env" is not a backend of this program: only etcd (API v3) and file are supported`},
		{"-backend vault", `flag -backend cannot be "vault": only etcd (API v3) and file are supported`},
		{"etcd file", `unexpected argument "file": every flag begins with a dash`},
		{"etcdd", `unexpected argument "etcdd": every flag begins with a dash`},
		{"etcd --auth-token x", "flag -auth-token " + other},
		{"-table t", "flag -table " + other},
		{"-separator=.", "flag -separator " + other},
		{"-auth-type x", "flag -auth-type " + other},
		{"-app-id x", "flag -app-id " + other},
		{"-user-id x", "flag -user-id " + other},
		{"-role-id x", "flag -role-id " + other},
		{"-secret-id x", "flag -secret-id " + other},
		{"-path x", "flag -path " + other},
		{"--acm-export-private-key etcd", "flag -acm-export-private-key " + other},
		{"--secretsmanager-version-stage x etcd", "flag -secretsmanager-version-stage " + other},
		{"--secretsmanager-no-flatten etcd", "flag -secretsmanager-no-flatten " + other},
		{"file --file x --filter *.json", "flag -filter has no effect: list every snapshot with file"},
		{"-secret-keyring x", "flag -secret-keyring has no effect: encrypted values are not decrypted; keep secrets in files that the proxy includes"},
		{"--preflight etcd", "flag -preflight has no effect: -dump - shows whether the backend can be read, -noop what would be written"},
		{"--validate --mock-data m.json etcd", "flag -mock-data has no effect: render a snapshot with -noop -file FILE"},
		{"--resource r.toml etcd", "flag -resource has no effect: -check reads every resource"},
		{"-debug", "flag -debug has no effect: set log-level to debug"},
		{"-srv-recrod x", `unknown flag -srv-recrod (did you mean "-srv-record"?)`},
		{"etcd -n", `flag -n needs a value`},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			_, _, err := loadConfd(t, "", nil, strings.Fields(tt.line)...)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestConfdNameOnly has the program by its own name know nothing of confd's
// subcommands and variables.
func TestConfdNameOnly(t *testing.T) {
	if _, _, err := load(t, "", nil, "etcd", "--node", "h:1"); err == nil {
		t.Error("a subcommand is taken though the name is not confd")
	}
	if s := mustLoad(t, "", []string{"CONFD_PREFIX=/a"}); s.Prefix != "" {
		t.Errorf("CONFD_PREFIX is read though the name is not confd: prefix %q", s.Prefix)
	}
}

func TestConfdEnvironment(t *testing.T) {
	s, warnings, err := loadConfd(t, `prefix = "/file"`, []string{
		"CONFD_PREFIX=/confd", "CONFD_INTERVAL=10", "CONFD_NODE=h:1,h:2", "CONFD_LOG_LEVEL=warn", "PC4PATRONI_LOG_LEVEL=error", "CONFD_CONFDIR=/x",
		"CONFD_AUTH_TOKEN=hunter2", "CONFD_NODES=h:3", "CONFD_VERSION=0.16.0", "CONFD_PORT=tcp://10.0.0.1:80", "CONFD_CLIENT_CAKEYS=",
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Prefix != "/confd" || s.Interval != 10*time.Second || s.ConfDir != "/x" || !cmp.Equal(s.Backend.Nodes, []string{"h:1", "h:2"}) {
		t.Errorf("the variables do not count: %+v", s)
	}
	if got := s.LogLevel.String(); got != "ERROR" {
		t.Errorf("log level %s, want that of our own variable", got)
	}
	want := []string{
		"environment variable CONFD_AUTH_TOKEN has no effect: it belongs to a backend other than etcd and file",
		`unknown environment variable CONFD_NODES (did you mean "CONFD_NODE"?)`,
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	_, _, err = loadConfd(t, "", []string{"CONFD_INTERVAL=soon"})
	if want := `environment variable CONFD_INTERVAL must be a number of seconds, or a duration such as 1m30s, not "soon"`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestConfdPrecedence names the flags that lose in confd against its file.
func TestConfdPrecedence(t *testing.T) {
	const config = "prefix = \"/file\"\nnodes = [\"h:1\"]\n"
	s, warnings, err := loadConfd(t, config, nil, "-prefix", "/flag", "-node", "h:2", "-node", "h:3", "-interval", "10")
	if err != nil {
		t.Fatal(err)
	}
	if s.Prefix != "/flag" {
		t.Errorf("prefix %q, want that of the flag", s.Prefix)
	}
	want := []string{
		"flag -prefix wins over the configuration file; in confd the file wins",
		"flag -node wins over the configuration file; in confd the file wins",
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
