package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"pc4patroni/internal/proctest"
)

// etcd is one running member of Debian's etcd.
type etcd struct {
	*proctest.Server
	port int
	url  string
}

// startEtcd starts an etcd of one member. With certificates, it serves TLS and wants
// a certificate of the same authority from its clients.
func startEtcd(t *testing.T, dir string, tls *authority) *etcd {
	t.Helper()
	port, peer := proctest.FreePort(t), proctest.FreePort(t)
	e := &etcd{port: port, url: "http://" + proctest.Loopback(port)}
	peerURL := "http://" + proctest.Loopback(peer)
	argv := []string{
		"etcd", "--name", "e1",
		"--data-dir", filepath.Join(dir, fmt.Sprintf("etcd-%d", port)),
		"--listen-peer-urls", peerURL,
		"--initial-advertise-peer-urls", peerURL,
		"--initial-cluster", "e1=" + peerURL,
		"--unsafe-no-fsync",
		"--logger", "zap", "--log-level", "warn",
	}
	if tls != nil {
		e.url = "https://" + proctest.Loopback(port)
		argv = append(argv, "--cert-file", tls.serverCert, "--key-file", tls.serverKey,
			"--client-cert-auth", "--trusted-ca-file", tls.ca)
	}
	argv = append(argv, "--listen-client-urls", e.url, "--advertise-client-urls", e.url)
	e.Server = proctest.Launch(t, dir, fmt.Sprintf("etcd-%d", port), proctest.Account{}, nil, argv...)
	e.AwaitPort(t, port)
	return e
}

// client is a connection of the test's own, to put keys and to manage users.
func (e *etcd) client(t *testing.T, tls *authority, username, password string) *clientv3.Client {
	t.Helper()
	config := clientv3.Config{
		Endpoints:   []string{e.url},
		DialTimeout: 10 * time.Second,
		Username:    username,
		Password:    password,
		Logger:      zap.NewNop(),
	}
	if tls != nil {
		config.TLS = tls.clientConfig(t)
	}
	c, err := clientv3.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// put stores the keys.
func put(t *testing.T, c *clientv3.Client, keys map[string]string) {
	t.Helper()
	for key, value := range keys {
		if _, err := c.Put(t.Context(), key, value); err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
}

// demoKeys are one cluster, /service/demo, and what is none of a reader's business.
var demoKeys = map[string]string{
	"/service/demo/leader":      "pg1",
	"/service/demo/members/pg1": `{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"primary"}`,
	"/service/demo2/leader":     "other",
	"/secret":                   "nobody's business",
}

// demoResource renders the primary's address from a prefix to DIR/NAME.
func demoResource(t *testing.T, dir, name, prefix string) {
	t.Helper()
	proctest.Write(t, fmt.Sprintf("[template]\nsrc = \"addr.tmpl\"\ndest = %q\nprefix = %q\n", filepath.Join(dir, name), prefix),
		dir, "conf.d", name+".toml")
	proctest.Write(t, "{{primary.Addr}}\n", dir, "templates", "addr.tmpl")
}

// testEtcdUsers has a user whose role covers the prefix and nothing beside it, as a
// careful administrator would set it up.
func testEtcdUsers(t *testing.T) {
	proctest.Need(t, "etcd")
	const password = "hunter 2"
	dir := proctest.WorkDir(t)
	e := startEtcd(t, dir, nil)
	c := e.client(t, nil, "", "")
	put(t, c, demoKeys)
	ctx := t.Context()
	for _, do := range []func() error{
		func() error { _, err := c.RoleAdd(ctx, "proxies"); return err },
		func() error {
			_, err := c.RoleGrantPermission(ctx, "proxies", "/service/demo/", clientv3.GetPrefixRangeEnd("/service/demo/"),
				clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func() error { _, err := c.UserAdd(ctx, "proxy", password); return err },
		func() error { _, err := c.UserGrantRole(ctx, "proxy", "proxies"); return err },
		func() error { _, err := c.UserAdd(ctx, "root", "root"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	passwordFile := proctest.Write(t, password+"\n", dir, "password")
	login := []string{"-onetime", "-confdir", dir, "-node", e.url, "-username", "proxy", "-password-file", passwordFile}

	demoResource(t, dir, "demo", "/service/demo")
	proctest.Apply(t, 0, login...)
	if got := proctest.Read(t, dir, "demo"); got != "10.0.0.1:5432\n" {
		t.Errorf("dest holds %q", got)
	}

	t.Run("outside the role", func(t *testing.T) {
		demoResource(t, dir, "demo2", "/service/demo2")
		want := proctest.Read(t, dir, "demo")
		proctest.Write(t, "by hand\n", dir, "demo")
		got := proctest.Invoke(t, nil, append([]string{proctest.Binary(t)}, login...)...)
		if got.Code != 1 || !strings.Contains(got.Stderr, "/service/demo2") {
			t.Errorf("exit status %d, and stderr should name the prefix that may not be read:\n%s", got.Code, got.Stderr)
		}
		if now := proctest.Read(t, dir, "demo"); now != want {
			t.Errorf("the other resource was not applied: %q", now)
		}
		if _, err := os.Stat(filepath.Join(dir, "demo2")); err == nil {
			t.Error("a resource that could not be read was written")
		}
		if err := os.Remove(filepath.Join(dir, "conf.d", "demo2.toml")); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("wrong password", func(t *testing.T) {
		wrong := proctest.Write(t, "not "+password+"\n", dir, "wrong")
		proctest.Write(t, "before\n", dir, "demo")
		got := proctest.Invoke(t, nil, proctest.Binary(t), "-onetime", "-wait", "5s", "-confdir", dir, "-node", e.url, "-username", "proxy", "-password-file", wrong)
		if got.Code == 0 || !strings.Contains(got.Stderr, "password") {
			t.Errorf("exit status %d, and stderr:\n%s", got.Code, got.Stderr)
		}
		if strings.Contains(got.Stderr, password) {
			t.Errorf("stderr holds the password:\n%s", got.Stderr)
		}
		if now := proctest.Read(t, dir, "demo"); now != "before\n" {
			t.Errorf("the file was replaced without a login: %q", now)
		}
	})
}

// testEtcdTLS has an etcd that wants certificates from its clients.
func testEtcdTLS(t *testing.T) {
	proctest.Need(t, "etcd")
	dir := proctest.WorkDir(t)
	ca := newAuthority(t, dir)
	e := startEtcd(t, dir, ca)
	put(t, e.client(t, ca, "", ""), demoKeys)
	demoResource(t, dir, "demo", "/service/demo")
	run := func(t *testing.T, flags ...string) proctest.Outcome {
		t.Helper()
		return proctest.Invoke(t, nil, append([]string{proctest.Binary(t), "-onetime", "-wait", "3s", "-confdir", dir, "-node", e.url}, flags...)...)
	}

	for _, tt := range []struct {
		name  string
		code  int
		flags []string
	}{
		{"no certificate", 3, []string{"-client-ca-keys", ca.ca}},
		{"unknown authority", 3, []string{"-client-cert", ca.clientCert, "-client-key", ca.clientKey}},
		{"expired certificate", 3, []string{"-client-ca-keys", ca.ca, "-client-cert", ca.expiredCert, "-client-key", ca.expiredKey}},
		{"all in order", 0, []string{"-client-ca-keys", ca.ca, "-client-cert", ca.clientCert, "-client-key", ca.clientKey}},
		{"not verified", 0, []string{"-client-insecure", "-client-cert", ca.clientCert, "-client-key", ca.clientKey}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proctest.Write(t, "before\n", dir, "demo")
			got := run(t, tt.flags...)
			want := "before\n"
			if tt.code == 0 {
				want = "10.0.0.1:5432\n"
			}
			if now := proctest.Read(t, dir, "demo"); got.Code != tt.code || now != want {
				t.Errorf("exit status %d, want %d; dest holds %q, want %q; stderr:\n%s", got.Code, tt.code, now, want, got.Stderr)
			}
			if tt.code != 0 && !strings.Contains(got.Stderr, "certificate") {
				t.Errorf("stderr does not speak of the certificate:\n%s", got.Stderr)
			}
		})
	}
}
