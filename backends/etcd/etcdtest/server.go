// Package etcdtest starts real etcd servers inside a test, so that the tests
// of everything that talks to etcd need no program but go.
//
// A server listens on 127.0.0.1 at a port of its own choosing, keeps its data
// below t.TempDir, logs nothing and is stopped when the test ends. Start gives
// a single server that can be stopped, started again at the same address, and
// replaced by an empty one; StartCluster gives several that can be cut off from
// each other; NewAuthority issues certificates; NewProxy is a TCP connection that a
// test can cut, freeze and count. Failures of the package itself end the test.
//
// It is imported by tests only: it pulls in the whole of etcd.
package etcdtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"pc4patroni/internal/proctest"
)

// RootPassword is the password of the user root on a server started WithAuth.
const RootPassword = "root-secret"

// patience bounds everything that should take no time at all. It is long
// because the tests of several packages share the processor.
const patience = 60 * time.Second

// servers numbers the certificates of servers.
var servers atomic.Int64

// Option changes how Start and StartCluster set up their servers.
type Option func(*settings)

type settings struct {
	authority    *Authority
	clientCerts  bool
	auth         bool
	tokenTTL     time.Duration
	clusterToken string
	program      string
	change       func(*embed.Config)
}

// WithTLS makes the server serve TLS with a certificate of authority for
// 127.0.0.1 and localhost.
func WithTLS(authority *Authority) Option {
	return func(s *settings) { s.authority = authority }
}

// WithClientCerts makes the server ask clients for a certificate of the
// authority given to WithTLS.
func WithClientCerts() Option { return func(s *settings) { s.clientCerts = true } }

// WithAuth enables authentication, with the user root and RootPassword.
func WithAuth() Option { return func(s *settings) { s.auth = true } }

// WithTokenTTL sets how long a token of an authenticated user lives when it is
// not used, in whole seconds.
func WithTokenTTL(ttl time.Duration) Option { return func(s *settings) { s.tokenTTL = ttl } }

// WithConfig lets change have the last word on the configuration of every server.
func WithConfig(change func(*embed.Config)) Option { return func(s *settings) { s.change = change } }

// Server is an etcd server of its own. Its methods are for one goroutine at a
// time.
type Server struct {
	t      testing.TB
	set    settings
	name   string
	dir    string
	client url.URL
	peer   url.URL
	// advertise and initial are set for the members of a cluster only.
	advertise string
	initial   string

	etcd     *embed.Etcd
	program  *program      // in place of etcd
	stopping chan struct{} // closed when etcd is to end
	root     *clientv3.Client
}

// Start starts a single etcd server and waits until it serves.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := newServer(t, "default", opts)
	t.Cleanup(s.Stop)
	s.Start()
	if s.set.auth {
		s.enableAuth()
	}
	return s
}

func newServer(t testing.TB, name string, opts []Option) *Server {
	s := &Server{t: t, name: name, dir: filepath.Join(t.TempDir(), name)}
	for _, opt := range opts {
		opt(&s.set)
	}
	s.client = url.URL{Scheme: "http", Host: proctest.Loopback(proctest.FreePort(s.t))}
	if s.set.authority != nil {
		s.client.Scheme = "https"
	}
	s.peer = url.URL{Scheme: "http", Host: proctest.Loopback(proctest.FreePort(s.t))}
	return s
}

// URL is the client URL of the server. It stays the same when the server is
// stopped and started again.
func (s *Server) URL() string { return s.client.String() }

// Addr is URL without the scheme: host and port.
func (s *Server) Addr() string { return s.client.Host }

// Start starts a server that was stopped and waits until it serves.
func (s *Server) Start() {
	s.t.Helper()
	if s.set.program != "" {
		s.startProgram()
		return
	}
	s.launch()
	s.waitReady()
}

// launch starts the server without waiting for it.
func (s *Server) launch() {
	s.t.Helper()
	if s.etcd != nil {
		s.t.Fatalf("etcd %s runs already", s.name)
	}
	cfg := s.config()
	s.stopping = make(chan struct{})
	hurry(cfg, s.stopping)
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		s.t.Fatalf("start etcd %s: %v", s.name, err)
	}
	s.etcd = e
}

func (s *Server) waitReady() {
	s.t.Helper()
	select {
	case <-s.etcd.Server.ReadyNotify():
	case err := <-s.etcd.Err():
		s.t.Fatalf("start etcd %s: %v", s.name, err)
	case <-time.After(patience):
		s.t.Fatalf("start etcd %s: not ready after %v", s.name, patience)
	}
}

// Stop stops the server, which keeps its data. Stopping twice is no error.
func (s *Server) Stop() {
	if s.root != nil {
		s.root.Close()
		s.root = nil
	}
	if s.etcd != nil {
		close(s.stopping)
		s.etcd.Close()
		s.etcd = nil
	}
	if s.program != nil {
		s.program.stop()
		s.program = nil
	}
}

// Restart stops the server and starts it again at the same address, with the
// same data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

// Replace stops the server and starts an empty one at the same address, as
// somebody would who lost the data. With the same clusterToken as before (the
// first one is empty) the new server has the cluster ID of the old one and
// differs from it by its lower revision alone.
func (s *Server) Replace(clusterToken string) {
	s.t.Helper()
	s.Stop()
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Fatal(err)
	}
	s.set.clusterToken = clusterToken
	s.Start()
	if s.set.auth {
		s.enableAuth()
	}
}

func (s *Server) config() *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = s.name
	cfg.Dir = s.dir
	cfg.ListenClientUrls = []url.URL{s.client}
	cfg.AdvertiseClientUrls = []url.URL{s.client}
	cfg.ListenPeerUrls = []url.URL{s.peer}
	// The cluster ID is made of these two.
	cfg.InitialCluster = cfg.InitialClusterFromName(s.name)
	cfg.InitialClusterToken = "etcdtest" + s.set.clusterToken
	if s.advertise != "" {
		u, err := url.Parse(s.advertise)
		if err != nil {
			s.t.Fatal(err)
		}
		cfg.AdvertisePeerUrls = []url.URL{*u}
		cfg.InitialCluster = s.initial
	}
	// A single server elects itself; the shorter it waits the sooner it serves.
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	if s.set.tokenTTL > 0 {
		cfg.AuthTokenTTL = uint(s.set.tokenTTL / time.Second)
	}
	if a := s.set.authority; a != nil {
		// etcd reads the files later on, so no other server may share them.
		cert := a.Issue(fmt.Sprintf("server-%d", servers.Add(1)), ForServer())
		cfg.ClientTLSInfo = transport.TLSInfo{CertFile: cert.Cert, KeyFile: cert.Key}
		if s.set.clientCerts {
			cfg.ClientTLSInfo.ClientCertAuth = true
			cfg.ClientTLSInfo.TrustedCAFile = a.CertFile
		}
	}
	if s.set.change != nil {
		s.set.change(cfg)
	}
	return cfg
}

// Client is a client for the test's own use, with the rights of root. It is
// closed when the server is stopped.
func (s *Server) Client() *clientv3.Client {
	s.t.Helper()
	if s.root == nil {
		username, password := "", ""
		if s.set.auth {
			username, password = "root", RootPassword
		}
		s.root = s.dial(username, password)
	}
	return s.root
}

func (s *Server) dial(username, password string) *clientv3.Client {
	s.t.Helper()
	cfg := clientv3.Config{
		Endpoints:   []string{s.URL()},
		Username:    username,
		Password:    password,
		DialTimeout: patience,
		Logger:      zap.NewNop(),
	}
	if a := s.set.authority; a != nil {
		cfg.TLS = a.ClientConfig()
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		s.t.Fatalf("connect to etcd %s: %v", s.name, err)
	}
	return c
}

// Put writes a key and returns the revision that it made.
func (s *Server) Put(key, value string) int64 {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := s.Client().Put(ctx, key, value)
	if err != nil {
		s.t.Fatalf("put %s: %v", key, err)
	}
	return resp.Header.Revision
}

// Txn writes several keys in one revision, which it returns.
func (s *Server) Txn(ops ...clientv3.Op) int64 {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := s.Client().Txn(ctx).Then(ops...).Commit()
	if err != nil {
		s.t.Fatalf("txn: %v", err)
	}
	return resp.Header.Revision
}

// Delete deletes one key and returns the revision afterwards.
func (s *Server) Delete(key string) int64 {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := s.Client().Delete(ctx, key)
	if err != nil {
		s.t.Fatalf("delete %s: %v", key, err)
	}
	return resp.Header.Revision
}

// Compact forgets the history before revision.
func (s *Server) Compact(revision int64) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := s.Client().Compact(ctx, revision, clientv3.WithCompactPhysical()); err != nil {
		s.t.Fatalf("compact: %v", err)
	}
}
