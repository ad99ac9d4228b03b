package etcd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/backends/etcd/etcdtest"
)

func TestNodes(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, []string{"http://127.0.0.1:2379"}},
		{Config{ClientInsecure: true}, []string{"https://127.0.0.1:2379"}},
		{Config{Nodes: []string{"http://etcd1:2379", "http://etcd2:2379"}}, []string{"http://etcd1:2379", "http://etcd2:2379"}},
		{Config{Nodes: []string{"etcd1:2379", "etcd2", "http://etcd3:4001/"}}, []string{"http://etcd1:2379", "http://etcd2:2379", "http://etcd3:4001"}},
		{Config{Nodes: []string{"etcd1"}, ClientCAKeys: "ca.pem"}, []string{"https://etcd1:2379"}},
		{Config{Nodes: []string{"etcd1"}, ClientCAKeys: "ca.pem", Scheme: "http"}, []string{"http://etcd1:2379"}},
		{Config{Nodes: []string{"etcd1"}, Scheme: "https"}, []string{"https://etcd1:2379"}},
		{Config{Nodes: []string{"::1", "[::1]", "[::1]:4001", "http://[fe80::1]:2379"}}, []string{
			"http://[::1]:2379", "http://[::1]:2379", "http://[::1]:4001", "http://[fe80::1]:2379"}},
	} {
		got, err := tt.cfg.nodes()
		if err != nil {
			t.Errorf("nodes %q: %v", tt.cfg.Nodes, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("nodes %q: -want +got:\n%s", tt.cfg.Nodes, diff)
		}
	}
}

func TestNewRejects(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := etcdtest.NewAuthority(t)
	pair, stranger := ca.Issue("batman"), ca.Issue("joker")
	missing := filepath.Join(dir, "missing")
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{Nodes: []string{"http://a:1", "https://b:1"}}, "nodes http://a:1 and https://b:1 differ in their scheme: all must be http or all https"},
		{Config{Nodes: []string{"https://a:1", "b:1"}}, "differ in their scheme"},
		{Config{Nodes: []string{"http://a"}, ClientCAKeys: "ca.pem"}, "node http://a:2379 is plain http, but client-ca-keys is set: write https:// or leave out the TLS options"},
		{Config{Nodes: []string{"http://u:secret@a:x"}}, "a node is not a URL"},
		{Config{SRVDomain: "a", Scheme: "http", ClientInsecure: true}, "scheme is http, but client-insecure is set"},
		{Config{ClientCert: missing, ClientKey: pair.Key}, "open " + missing},
		{Config{ClientCert: pair.Cert, ClientKey: missing}, "open " + missing},
		{Config{ClientCert: pair.Cert, ClientKey: stranger.Key}, "private key does not match public key"},
		{Config{ClientCAKeys: missing}, "read client-ca-keys: open " + missing},
		{Config{ClientCAKeys: write("ca", "no PEM")}, "holds no certificate in PEM format"},
		{Config{Username: "batman", PasswordFile: missing}, "read password-file: open " + missing},
		{Config{Username: "batman", PasswordFile: write("empty", "\n")}, "is empty"},
		{Config{Username: "batman", PasswordFile: write("two", "secret\nlines\n")}, "has more than one line"},
	} {
		c, err := New(tt.cfg)
		if err == nil {
			c.Close()
			t.Errorf("New accepts a configuration that it should reject with %q", tt.want)
			continue
		}
		if !strings.HasPrefix(err.Error(), "configure etcd: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New: %v, want ...%s...", err, tt.want)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("New tells the password: %v", err)
		}
	}
}
