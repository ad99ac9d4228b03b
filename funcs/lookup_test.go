package funcs

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
)

// zone is a Resolver that knows a few names.
type zone struct{}

func (zone) LookupIP(ctx context.Context, network, host string) ([]net.IP, error) {
	switch host {
	case "db.example.com":
		return []net.IP{net.ParseIP("2001:db8::2"), net.ParseIP("10.0.0.9"), net.ParseIP("10.0.0.10"), net.ParseIP("2001:db8::1")}, nil
	case "v6.example.com":
		return []net.IP{net.ParseIP("2001:db8::1")}, nil
	case "absent.example.com":
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case "broken.example.com":
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}
	<-ctx.Done()
	return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
}

func (zone) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	switch {
	case service == "etcd" && proto == "tcp" && name == "example.com":
		return "", []*net.SRV{
			{Target: "b.example.com.", Port: 2379, Priority: 1, Weight: 1},
			{Target: "a.example.com.", Port: 2379, Priority: 2, Weight: 1},
			{Target: "a.example.com.", Port: 12379, Priority: 9, Weight: 1},
		}, nil
	case name == "slow.example.com":
		<-ctx.Done()
		return "", nil, ctx.Err()
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func TestLookups(t *testing.T) {
	env := &Env{Store: NewStore(), Resolver: zone{}}
	tests := []struct{ template, want string }{
		{`{{lookupIP "db.example.com"}}`, "[10.0.0.10 10.0.0.9 2001:db8::1 2001:db8::2]"},
		{`{{lookupIPV4 "db.example.com"}} {{lookupIPV6 "db.example.com"}}`, "[10.0.0.10 10.0.0.9] [2001:db8::1 2001:db8::2]"},
		{`{{lookupIPV4 "v6.example.com"}} {{len (lookupIP "absent.example.com")}} {{len (lookupIPV6 "absent.example.com")}}`, "[] 0 0"},
		{`{{range lookupSRV "etcd" "tcp" "example.com"}}{{.Target}}:{{.Port}} {{end}}`, "a.example.com.:12379 a.example.com.:2379 b.example.com.:2379 "},
		{`{{len (lookupSRV "ldap" "tcp" "example.com")}}`, "0"},
	}
	for _, tt := range tests {
		if got := render(t, env, tt.template); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.template, got, tt.want)
		}
	}
}

// TestLookupOfTheSystem asks the resolver that templates get by default for
// what needs no server.
func TestLookupOfTheSystem(t *testing.T) {
	if got, want := render(t, &Env{Store: NewStore()}, `{{lookupIP "127.0.0.1"}} {{lookupIPV6 "::1"}}`), "[127.0.0.1] [::1]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLookupFaults: a DNS that does not answer holds the resource instead of
// emptying the list, within a bounded time.
func TestLookupFaults(t *testing.T) {
	tests := []struct{ template, want string }{
		{`{{lookupIP "broken.example.com"}}`, `error calling lookupIP: look up "broken.example.com": lookup broken.example.com: server misbehaving`},
		{`{{lookupIP "slow.example.com"}}`, `error calling lookupIP: look up "slow.example.com": no answer from the DNS within 5s`},
		{`{{lookupIPV4 "slow.example.com"}}`, `error calling lookupIPV4: look up "slow.example.com": no answer from the DNS within 5s`},
		{`{{lookupSRV "etcd" "tcp" "slow.example.com"}}`, `error calling lookupSRV: look up "slow.example.com": no answer from the DNS within 5s`},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			env := &Env{Store: NewStore(), Resolver: zone{}}
			if got := renderError(t, env, tt.template); !strings.HasSuffix(got, tt.want) {
				t.Errorf("%s\n got %s\nwant %s", tt.template, got, tt.want)
			}
		})
	}
}

func TestHostAndInterfaces(t *testing.T) {
	env := &Env{Store: NewStore()}
	want, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := render(t, env, `{{hostname}} {{lookupIfaceIPV4 "lo"}}`); got != want+" 127.0.0.1" {
		t.Errorf("got %s, want %s 127.0.0.1", got, want)
	}
	for _, call := range []string{`{{lookupIfaceIPV4 "none0"}}`, `{{lookupIfaceIPV6 "none0"}}`} {
		if got := renderError(t, env, call); !strings.Contains(got, `look up interface "none0"`) {
			t.Errorf("%s: %s", call, got)
		}
	}
}
