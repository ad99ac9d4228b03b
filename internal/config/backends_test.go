package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// keyIn names the backend of a table as package resource does, and returns
// its settings.
func keyIn(s *Backends, table map[string]any) (string, Backend, error) {
	key, err := s.Name(table, func(key string, err error) error {
		return fmt.Errorf("conf.d/a.toml: [backend] %s: %w", key, err)
	})
	return key, s.byName[key], err
}

func TestBackendTableInherits(t *testing.T) {
	global := mustLoad(t, `
nodes = ["https://a:1", "https://b:1"]
username = "u"
password = "hunter2"
client_cert = "/c"
client_key = "/k"
client_cakeys = "/ca"
dial_timeout = 1
request_timeout = 2
`, nil)
	timeouts := Backend{DialTimeout: time.Second, RequestTimeout: 2 * time.Second}
	elsewhere := func(change func(*Backend)) Backend {
		b := timeouts
		b.Kind = "etcd"
		b.Nodes = []string{"http://127.0.0.1:2379"}
		change(&b)
		return b
	}
	same := func(change func(*Backend)) Backend {
		b := global.Backend
		change(&b)
		return b
	}
	tests := []struct {
		name  string
		table map[string]any
		want  Backend
		key   string
	}{
		{"no table", nil, global.Backend, "etcd https://a:1,https://b:1"},
		{"other nodes get no secret", map[string]any{"nodes": []any{"http://c:1"}},
			elsewhere(func(b *Backend) { b.Nodes = []string{"http://c:1"} }), "etcd http://c:1"},
		{"the same nodes, but said again, neither", map[string]any{"node": "https://a:1,https://b:1"},
			elsewhere(func(b *Backend) { b.Nodes = []string{"https://a:1", "https://b:1"} }), "etcd https://a:1,https://b:1 (2)"},
		{"SRV", map[string]any{"srv_domain": "example.com", "dial-timeout": "3s"},
			elsewhere(func(b *Backend) {
				b.Nodes, b.SRVDomain, b.DialTimeout = nil, "example.com", 3*time.Second
			}), "etcd example.com"},
		{"a file", map[string]any{"file": []any{"a.json"}},
			elsewhere(func(b *Backend) { b.Kind, b.Files = "file", []string{"a.json"} }), "file a.json"},
		{"another user", map[string]any{"username": "v", "password_file": "/p"},
			same(func(b *Backend) { b.Username, b.Password, b.PasswordFile = "v", "", "/p" }), "etcd https://a:1,https://b:1 (3)"},
		{"another certificate", map[string]any{"client_cert": "/c2", "client_key": "/k2"},
			same(func(b *Backend) { b.ClientCert, b.ClientKey = "/c2", "/k2" }), "etcd https://a:1,https://b:1 (4)"},
		{"equal settings share", map[string]any{"client_cert": "/c", "client-key": "/k"}, global.Backend, "etcd https://a:1,https://b:1"},
		{"the order of nodes is of no importance",
			map[string]any{"nodes": []any{"https://b:1", "https://a:1"}},
			elsewhere(func(b *Backend) { b.Nodes = []string{"https://a:1", "https://b:1"} }), "etcd https://a:1,https://b:1 (2)"},
	}
	s := NewBackends(global)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, got, err := keyIn(s, tt.table)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if key != tt.key {
				t.Errorf("key %q, want %q", key, tt.key)
			}
			if again, _, _ := keyIn(s, tt.table); again != key {
				t.Errorf("asked again, the key is %q, not %q", again, key)
			}
		})
	}
}

// TestBackendTableOfDefaultNode inherits a node that nobody named, with the
// scheme that certificates call for.
func TestBackendTableOfDefaultNode(t *testing.T) {
	s := NewBackends(mustLoad(t, "client_cakeys = \"/ca\"\n", nil))
	for _, table := range []map[string]any{nil, {"client_cert": "/c", "client_key": "/k"}} {
		_, got, err := keyIn(s, table)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"https://127.0.0.1:2379"}, got.Nodes); diff != "" {
			t.Errorf("nodes (-want +got):\n%s", diff)
		}
	}
}

func TestBackendTableErrors(t *testing.T) {
	global := mustLoad(t, "username = \"u\"\npassword = \"hunter2\"\n", nil)
	tests := []struct {
		name  string
		table map[string]any
		want  []string
	}{
		{"slips, all of them", map[string]any{"nods": []any{"a:1"}, "user_name": "x", "request_timeout": "soon"}, []string{
			`[backend] nods: unknown key "nods" (did you mean "node"?)`,
			`[backend] request_timeout: key "request_timeout" must be a number of seconds, or a duration such as 1m30s, not "soon"`,
			`[backend] user_name: unknown key "user_name" (did you mean "username"?)`,
		}},
		{"not an option of backends", map[string]any{"interval": int64(5)}, []string{`[backend] interval: key "interval" does not belong here: set it in the configuration file`}},
		{"an option of other backends", map[string]any{"auth_token": "hunter2"}, []string{
			`[backend] auth_token: key "auth_token" has no effect: it belongs to a backend other than etcd and file`,
		}},
		{"a user without password does not get the global one", map[string]any{"username": "v"}, []string{
			`[backend] : username needs a password: set password-file`,
		}},
		{"a password without user", map[string]any{"password": "hunter2"}, []string{`[backend] : a password needs a user: set username`}},
		{"contradiction", map[string]any{"backend": "etcd", "file": "a.json"}, []string{`[backend] : backend etcd cannot read a file: set one of the two`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := keyIn(NewBackends(global), tt.table)
			if err == nil {
				t.Fatal("no error")
			}
			var want []string
			for _, w := range tt.want {
				want = append(want, "conf.d/a.toml: "+w)
			}
			if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRenew is about names over several readings of the configuration: the
// engine takes a backend for unchanged if its name is.
func TestRenew(t *testing.T) {
	const nodes = "nodes = [\"https://a:1\"]\n"
	first := mustLoad(t, nodes+"username = \"u\"\npassword = \"one\"\n", nil)
	second := mustLoad(t, nodes+"username = \"u\"\npassword = \"two\"\n", nil)
	global := func(b *Backends) string {
		name, _, err := keyIn(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	b := NewBackends(first)
	const plain, other = "etcd https://a:1", "etcd https://a:1 (2)"
	for _, step := range []struct {
		why      string
		settings *Settings
		used     string
		want     string
	}{
		{"the same settings", first, plain, plain},
		{"another password", second, plain, other},
		{"the same again", second, other, other},
		{"back, with the first name free", first, other, plain},
	} {
		global(b)
		b = b.Renew(step.settings, func(name string) bool { return name == step.used })
		if got := global(b); got != step.want {
			t.Errorf("%s: the backend is called %q, want %q", step.why, got, step.want)
		}
	}
	// What nobody uses is forgotten, and its password with it.
	if b = b.Renew(first, func(name string) bool { return name == plain }); len(b.byName) != 1 {
		t.Errorf("%d backends are remembered, want 1", len(b.byName))
	}
}
