package etcd

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// serverCert makes a server use another certificate than its own.
func serverCert(pair etcdtest.Pair) etcdtest.Option {
	return etcdtest.WithConfig(func(cfg *embed.Config) {
		cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = pair.Cert, pair.Key
	})
}

func TestTLS(t *testing.T) {
	ca := etcdtest.NewAuthority(t)
	s := etcdtest.Start(t, etcdtest.WithTLS(ca), etcdtest.WithClientCerts())
	s.Put("/a", "1")
	pair := ca.Issue("pc4patroni")
	c := newClient(t, Config{Nodes: []string{s.Addr()}, ClientCert: pair.Cert, ClientKey: pair.Key, ClientCAKeys: ca.CertFile})
	w := watchPaths(t, c, from("", "/")...)
	w.value("/", "/a", "1")
	s.Put("/a", "2")
	w.value("/", "/a", "2")
}

func TestTLSInsecure(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithTLS(etcdtest.NewAuthority(t)))
	load(t, newClient(t, Config{Nodes: []string{s.URL()}, ClientInsecure: true}), "/")
}

// TestConnectErrors: what these say is what a user sees when nothing works.
func TestConnectErrors(t *testing.T) {
	ca, stranger := etcdtest.NewAuthority(t), etcdtest.NewAuthority(t)
	pair := ca.Issue("pc4patroni")
	// Overwritten files would be shared with pair.
	old := etcdtest.NewAuthority(t).Issue("stranger")
	expired := ca.Issue("expired", etcdtest.Expired())
	plain := etcdtest.Start(t)
	secure := etcdtest.Start(t, etcdtest.WithTLS(ca))
	mutual := etcdtest.Start(t, etcdtest.WithTLS(ca), etcdtest.WithClientCerts())
	outdated := etcdtest.Start(t, etcdtest.WithTLS(ca), serverCert(ca.Issue("outdated", etcdtest.ForServer(), etcdtest.Expired())))
	misnamed := etcdtest.Start(t, etcdtest.WithTLS(ca), serverCert(ca.Issue("misnamed", etcdtest.ForHost("etcd.example.com"))))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	deaf := etcdtest.NewProxy(t, plain.Addr())
	deaf.Freeze()
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	go func() {
		for {
			conn, err := web.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			conn.Close()
		}
	}()

	for _, tt := range []struct {
		name   string
		cfg    Config
		want   []string
		denied bool
	}{
		{"refused", Config{Nodes: []string{closed.Addr().String()}},
			[]string{closed.Addr().String() + ": connect: connection refused"}, false},
		{"all nodes are named", Config{Nodes: []string{closed.Addr().String(), "http://127.0.0.1:1"}},
			[]string{closed.Addr().String() + ": connect: connection refused", "127.0.0.1:1: connect: connection refused"}, false},
		{"no such host", Config{Nodes: []string{"etcd.invalid"}},
			[]string{"etcd.invalid:2379: ", "lookup etcd.invalid"}, false},
		{"no way", Config{Nodes: []string{plain.Addr()}, DialTimeout: time.Nanosecond},
			[]string{plain.Addr() + ": i/o timeout"}, false},
		{"TLS port", Config{Nodes: []string{"http://" + secure.Addr()}},
			[]string{secure.Addr() + ": ", "https://"}, false},
		{"plain port", Config{Nodes: []string{"https://" + plain.Addr()}, ClientCAKeys: ca.CertFile},
			[]string{"without TLS, write http://"}, false},
		{"web server", Config{Nodes: []string{web.Addr().String()}},
			[]string{"it speaks HTTP/1, not gRPC"}, false},
		{"deaf", Config{Nodes: []string{deaf.Addr()}, DialTimeout: 300 * time.Millisecond},
			[]string{deaf.Addr() + ": it accepts connections but does not answer"}, false},
		{"unknown authority", Config{Nodes: []string{secure.URL()}, ClientCAKeys: stranger.CertFile},
			[]string{"x509: ", "set client-ca-keys to the authority"}, false},
		{"system's authorities", Config{Nodes: []string{secure.URL()}},
			[]string{"x509: ", "set client-ca-keys to the authority"}, false},
		{"expired", Config{Nodes: []string{outdated.URL()}, ClientCAKeys: ca.CertFile},
			[]string{"expired", "renew etcd's certificate"}, false},
		{"another name", Config{Nodes: []string{misnamed.URL()}, ClientCAKeys: ca.CertFile},
			[]string{"x509: ", "127.0.0.1", "use a name that the certificate has"}, false},
		{"no client certificate", Config{Nodes: []string{mutual.URL()}, ClientCAKeys: ca.CertFile},
			[]string{"etcd refuses our certificate", "certificate required"}, true},
		{"expired client certificate", Config{Nodes: []string{mutual.URL()}, ClientCAKeys: ca.CertFile, ClientCert: expired.Cert, ClientKey: expired.Key},
			[]string{"etcd refuses our certificate", "check client-cert"}, true},
		{"stranger's client certificate", Config{Nodes: []string{mutual.URL()}, ClientCAKeys: ca.CertFile, ClientCert: old.Cert, ClientKey: old.Key},
			[]string{"etcd refuses our certificate", "check client-cert"}, true},
		{"one node refuses the certificate, one is down", Config{Nodes: []string{mutual.URL(), "https://127.0.0.1:1"}, ClientCAKeys: ca.CertFile},
			[]string{"etcd refuses our certificate", "127.0.0.1:1: connect: connection refused"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, tt.cfg)
			started := time.Now()
			_, err := c.Load(t.Context(), []string{"/"})
			if err == nil {
				t.Fatal("Load works")
			}
			t.Log(err)
			for _, want := range append(tt.want, "connect to etcd: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Load: %v, want ...%s...", err, want)
				}
			}
			if got := errors.Is(err, backends.ErrDenied); got != tt.denied {
				t.Errorf("ErrDenied is wrapped: %v, want %v", got, tt.denied)
			}
			// A reason that is known at once is told at once.
			if took := time.Since(started); took > 4*time.Second && tt.name != "no such host" {
				t.Errorf("Load took %v", took)
			}
			err = c.Watch(t.Context(), from("", "/"), 0, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want[0]) {
				t.Errorf("Watch: %v, want ...%s...", err, tt.want[0])
			}
		})
	}
	// pair is fine with the server that refused the others.
	load(t, newClient(t, Config{Nodes: []string{mutual.URL()}, ClientCAKeys: ca.CertFile, ClientCert: pair.Cert, ClientKey: pair.Key}), "/")
}

// TestCertificatesAreReadAgain rotates them while the client lives.
func TestCertificatesAreReadAgain(t *testing.T) {
	ca := etcdtest.NewAuthority(t)
	s := etcdtest.Start(t, etcdtest.WithTLS(ca), etcdtest.WithClientCerts())
	p := etcdtest.NewProxy(t, s.Addr())
	pair := ca.Issue("pc4patroni")
	var logged bytes.Buffer
	c := newClient(t, Config{
		Nodes: []string{p.Addr()}, ClientCert: pair.Cert, ClientKey: pair.Key, ClientCAKeys: ca.CertFile,
		Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	})
	w := watchPaths(t, c, from("", "/")...)

	// One that has run out is noticed at the next connection.
	ca.Issue("pc4patroni", etcdtest.Expired())
	p.Break()
	w.wait()
	if _, err := c.Load(t.Context(), []string{"/"}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load with an expired certificate: %v, want ErrDenied", err)
	}

	// Its successor is used, too.
	ca.Issue("pc4patroni")
	loadEventually(t, c, "/")

	// A rotation that is half done leaves the old pair in use.
	key, err := os.ReadFile(pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pair.Key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Break()
	loadEventually(t, c, "/")
	if !strings.Contains(logged.String(), "their last good content is used") {
		t.Errorf("an unreadable key is not logged: %q", logged.String())
	}
	if err := os.WriteFile(pair.Key, key, 0o600); err != nil {
		t.Fatal(err)
	}

	// The authority changes: server and client get certificates of another one.
	next := etcdtest.NewAuthority(t)
	pem, err := os.ReadFile(next.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	other := etcdtest.Start(t, etcdtest.WithTLS(next))
	p.SetTarget(other.Addr())
	p.Break()
	if _, err := c.Load(t.Context(), []string{"/"}); err == nil {
		t.Error("Load trusts an authority that it was not told of")
	}
	if err := os.WriteFile(ca.CertFile, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	loadEventually(t, c, "/")
}
