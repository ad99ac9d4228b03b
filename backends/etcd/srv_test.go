package etcd

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/backends/etcd/etcdtest"
)

// dns is a resolver with a fixed content. Other names do not exist.
type dns map[string][]*net.SRV

func (d dns) lookup(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" {
		return "", nil, errors.New("the name must be given in full")
	}
	if records, ok := d[name]; ok {
		return name, records, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func TestEndpointsFromSRV(t *testing.T) {
	two := []*net.SRV{{Target: "etcd1.example.com.", Port: 2379}, {Target: "etcd2.example.com.", Port: 2379}}
	plain := []string{"http://etcd1.example.com:2379", "http://etcd2.example.com:2379"}
	secure := []string{"https://etcd1.example.com:2379", "https://etcd2.example.com:2379"}
	for _, tt := range []struct {
		name string
		cfg  Config
		dns  dns
		want []string
	}{
		{"etcd's name", Config{SRVDomain: "example.com"}, dns{"_etcd-client._tcp.example.com.": two}, plain},
		{"etcd's name for TLS", Config{SRVDomain: "example.com."}, dns{"_etcd-client-ssl._tcp.example.com.": two}, secure},
		{"TLS first", Config{SRVDomain: "example.com"}, dns{"_etcd-client-ssl._tcp.example.com.": two, "_etcd-client._tcp.example.com.": two[:1]}, secure},
		{"scheme http", Config{SRVDomain: "example.com", Scheme: "http"}, dns{"_etcd-client-ssl._tcp.example.com.": two[:1], "_etcd-client._tcp.example.com.": two}, plain},
		{"scheme https", Config{SRVDomain: "example.com", Scheme: "https"}, dns{"_etcd-client-ssl._tcp.example.com.": two, "_etcd-client._tcp.example.com.": two[:1]}, secure},
		{"confd's name", Config{SRVDomain: "example.com"}, dns{"_etcd._tcp.example.com.": two}, plain},
		{"confd's name, etcdv3", Config{SRVDomain: "example.com", Scheme: "https"}, dns{"_etcdv3._tcp.example.com.": two}, secure},
		{"confd's name with TLS", Config{SRVDomain: "example.com", ClientCAKeys: "ca"}, dns{"_etcd._tcp.example.com.": two}, secure},
		{"a record by its name", Config{SRVRecord: "_db._tcp.example.com", SRVDomain: "other", Nodes: []string{"a"}}, dns{"_db._tcp.example.com": two}, plain},
		{"a record by its name, TLS", Config{SRVRecord: "_etcd-client-ssl._tcp.example.com"}, dns{"_etcd-client-ssl._tcp.example.com": two}, secure},
		{"TLS options leave http out", Config{SRVDomain: "example.com", ClientCAKeys: "ca"}, dns{"_etcd-client._tcp.example.com.": two[:1], "_etcd._tcp.example.com.": two}, secure},
		{"no such service", Config{SRVDomain: "example.com"}, dns{"_etcd-client-ssl._tcp.example.com.": {{Target: "."}}, "_etcd-client._tcp.example.com.": two}, plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.LookupSRV = tt.dns.lookup
			got, err := tt.cfg.endpoints(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestEndpointsFromSRVFail(t *testing.T) {
	cfg := Config{SRVDomain: "example.com", LookupSRV: dns{}.lookup}
	_, err := cfg.endpoints(t.Context())
	for _, name := range []string{"_etcd-client-ssl._tcp.example.com.", "_etcd-client._tcp.example.com.", "_etcd._tcp.example.com."} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not say that %s was asked for: %v", name, err)
		}
	}
	away := errors.New("server misbehaving")
	cfg.LookupSRV = func(context.Context, string, string, string) (string, []*net.SRV, error) { return "", nil, away }
	if _, err := cfg.endpoints(t.Context()); !errors.Is(err, away) {
		t.Errorf("the error is %v, want one that wraps %v", err, away)
	}
}

// TestTLSNeverTurnsIntoHTTP: whatever DNS says or fails to say, a password does
// not go out in clear where TLS was asked for.
func TestTLSNeverTurnsIntoHTTP(t *testing.T) {
	s := etcdtest.Start(t)
	p := etcdtest.NewProxy(t, s.Addr())
	host, port, _ := net.SplitHostPort(p.Addr())
	n, _ := strconv.Atoi(port)
	plain := []*net.SRV{{Target: host, Port: uint16(n)}}
	failing := func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
		if strings.HasPrefix(name, "_etcd-client-ssl.") {
			return "", nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
		}
		return name, plain, nil
	}
	ca := etcdtest.NewAuthority(t).CertFile
	for _, tt := range []struct {
		name string
		cfg  Config
	}{
		{"only plain records, a TLS option", Config{ClientCAKeys: ca, LookupSRV: dns{"_etcd-client._tcp.example.com.": plain}.lookup}},
		{"only plain records, scheme https", Config{Scheme: "https", LookupSRV: dns{"_etcd-client._tcp.example.com.": plain}.lookup}},
		{"DNS fails, a TLS option", Config{ClientCAKeys: ca, LookupSRV: failing}},
		{"DNS fails, nothing said", Config{LookupSRV: failing}},
	} {
		tt.cfg.SRVDomain, tt.cfg.Username, tt.cfg.Password = "example.com", "batman", "secret"
		if _, err := newClient(t, tt.cfg).Load(t.Context(), []string{"/"}); err == nil {
			t.Errorf("%s: Load works", tt.name)
		}
	}
	if n := p.Accepted(); n != 0 {
		t.Errorf("%d connections were made in clear", n)
	}
}

// TestSRVIsAskedWhenNeeded starts while DNS is away, and moves etcd to another
// address later on.
func TestSRVIsAskedWhenNeeded(t *testing.T) {
	old, moved := etcdtest.Start(t), etcdtest.Start(t)
	moved.Put("/a", "moved")
	record := func(s *etcdtest.Server) []*net.SRV {
		host, port, _ := net.SplitHostPort(s.Addr())
		n, _ := strconv.Atoi(port)
		return []*net.SRV{{Target: host, Port: uint16(n)}}
	}
	var answer atomic.Pointer[dns]
	answer.Store(&dns{})
	c := newClient(t, Config{SRVDomain: "example.com", LookupSRV: func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
		return answer.Load().lookup(ctx, service, proto, name)
	}})
	if _, err := c.Load(t.Context(), []string{"/"}); err == nil {
		t.Fatal("Load works without any record in DNS")
	}
	answer.Store(&dns{"_etcd-client._tcp.example.com.": record(old)})
	load(t, c, "/")
	answer.Store(&dns{"_etcd-client._tcp.example.com.": record(moved)})
	old.Stop()
	if got := loadEventually(t, c, "/")["/a"]; got != "moved" {
		t.Errorf("/a = %q, want what the new address has", got)
	}
}
