package patroni

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEndpoint(t *testing.T) {
	tests := []struct {
		raw  string
		want string // scheme, addresses and path, or the error
	}{
		{"postgres://10.0.0.1:5432/postgres", "postgres 10.0.0.1:5432 /postgres"},
		{"postgres://db1/postgres", "postgres db1 /postgres"},
		{"postgres://db1:/postgres", "postgres db1 /postgres"},
		{"postgres://DB1.Example:5432", "postgres db1.example:5432"},
		{"postgres://db_1.x-y.:5432/", "postgres db_1.x-y.:5432 /"},
		{"postgres://user:p@ss@10.0.0.1:5432/x", "postgres 10.0.0.1:5432 /x"},
		{"postgres://[2001:DB8::1]:5432/x", "postgres [2001:db8::1]:5432 /x"},
		{"postgres://[2001:db8::1]/x", "postgres [2001:db8::1] /x"},
		{"postgres://[fe80::1%Eth0]:5432/x", "postgres [fe80::1%Eth0]:5432 /x"},
		{"postgres://[10.0.0.1]:5432/x", "postgres 10.0.0.1:5432 /x"},
		{"postgres://a,b:5432/x", "postgres a:5432 b:5432 /x"},
		{"postgres://a:1,b:2,c:3/x", "postgres a:1 b:2 c:3 /x"},
		{"postgres://[2001:db8::1,fe80::2%eth0,c]:5432/x", "has a bracket that is not closed"},
		{"postgres:///x", "postgres /x"},
		{"postgres://", "postgres"},
		{"10.0.0.1:5432", ""},
		{"", ""},
		{"://a", ""},
		{"a#b://c", ""},
		{"1a://c", ""},
		{"a+b-c.1://h", "a+b-c.1 h"},
		{"HTTP://h:80/a?b=c#d", "http h:80 /a"},
		{"postgres://h?x", "holds '?' before the path"},
		{"postgres://u:p#@h/x", "holds '#' before the path"},
		{"postgres://:5432/x", "has an empty host"},
		{"postgres://user@/x", "postgres /x"},
		{"postgres://h:0/x", "has a port that is not a number from 1 to 65535"},
		{"postgres://h:65536/x", "has a port that is not a number from 1 to 65535"},
		{"postgres://h:123456/x", "has a port that is not a number from 1 to 65535"},
		{"postgres://h:5x/x", "has a port that is not a number from 1 to 65535"},
		{"postgres://a:b:c/x", "has several colons without brackets around the host"},
		{"postgres://[2001:db8::1]:1,[2001:db8::2]:2,c/x", "postgres [2001:db8::1]:1 [2001:db8::2]:2 c /x"},
		{"postgres://[a:1,b]:2,c:3/x", "has a bracket that is not closed"},
		{"postgres://a,b:2,[::1]/x", "postgres a b:2 [::1] /x"},
		{"postgres://a:1,2/x", "has a host that is only a number"},
		{"postgres://5432/x", "has a host that is only a number"},
		{"postgres://[fe80::1%2]/x", "postgres [fe80::1%2] /x"},
		{"postgres://a,/x", "has an empty host"},
		{"postgres://,a/x", "has an empty host"},
		{"postgres://[[::1]]:1/x", "holds characters between the closing bracket and the port"},
		{"postgres://[::1/x,b]:1/x", "has a bracket that is not closed"},
		{"postgres://::1:5432/x", "has several colons without brackets around the host"},
		{"postgres://[::1/x", "has a bracket that is not closed"},
		{"postgres://[]:5432/x", "has an empty host"},
		{"postgres://[::1]5432/x", "holds characters between the closing bracket and the port"},
		{"postgres://[::1%]:5432/x", "has a host that begins with neither a letter nor a digit"},
		{"postgres://[::g]:5432/x", "has a host with colons that is not an IPv6 address"},
		{"postgres://-h:5432/x", "has a host that begins with neither a letter nor a digit"},
		{"postgres://a b:5432/x", "has a host that holds ' '"},
		{"postgres://a\x00:5432/x", "holds the character U+0000"},
		{"postgres://a:5432/x\x7f", "holds the character U+007F"},
		{"postgres://a:5432/x\u0085", "holds the character U+0085"},
		{"postgres://a\xff:5432/x", "holds the byte 0xff"},
	}
	for _, tt := range tests {
		e, err := parseEndpoint(tt.raw)
		got := []string{}
		for _, part := range append([]string{e.scheme}, append(addresses(e), e.path)...) {
			if part != "" {
				got = append(got, part)
			}
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("parseEndpoint(%q) (-want +got):\n%s", tt.raw, diff)
		}
	}
}

func addresses(e endpoint) []string {
	list := make([]string, len(e.addrs))
	for i, addr := range e.addrs {
		list[i] = addr.String()
	}
	return list
}

// FuzzEndpoint checks that nothing but addresses comes out of a URL, that what
// comes out is a URL that is taken apart in the same way, and that net/url
// agrees where it understands the text.
func FuzzEndpoint(f *testing.F) {
	for _, raw := range []string{
		"postgres://10.0.0.1:5432/postgres", "postgres://[2001:db8::1],[fe80::1%eth0]:5432/postgres", "postgres://a:1,b:2/my db",
		"https://u:p@h:8008/patroni?x#y", "http://h:8008/%2e%0a;{}\"'", "postgres://h:5432\n/x", "postgres://[::1]", "a://b", "://", "postgres://\u00e4:1/",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := parseEndpoint(raw)
		if err != nil {
			if len(err.Error()) > 100 || !isPrintable(err.Error()) {
				t.Fatalf("parseEndpoint(%q): the error %q does not fit a log", raw, err)
			}
			return
		}
		if len(e.addrs) == 0 {
			return
		}
		for _, addr := range e.addrs {
			if addr.host == "" || addr.port < 0 || addr.port > 65535 || strings.Trim(addr.host, "abcdefghijklmnopqrstuvwxyz0123456789-._:%ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				t.Fatalf("parseEndpoint(%q) gives the address %+v", raw, addr)
			}
		}
		uri := e.uri("postgres")
		for i := range len(uri) {
			if !consistsOf(uri[i:i+1], "-._~/%:[],") {
				t.Fatalf("%q becomes %q, which holds %q", raw, uri, uri[i])
			}
		}
		again, err := parseEndpoint(strings.ReplaceAll(uri, "%25", "%"))
		if err != nil || !cmp.Equal(addresses(again), addresses(e)) {
			t.Fatalf("%q becomes %q, whose addresses are %q, %v, want %q", raw, uri, addresses(again), err, addresses(e))
		}
		if len(e.addrs) == 1 {
			standard, err := url.Parse(uri)
			if err != nil {
				t.Fatalf("%q becomes %q: %v", raw, uri, err)
			}
			want := e.addrs[0]
			if standard.Hostname() != want.host || standard.Port() != "" && standard.Port() != strconv.Itoa(want.port) {
				t.Fatalf("%q becomes %q, of which net/url makes host %q and port %q", raw, uri, standard.Hostname(), standard.Port())
			}
		}
		if standard, err := url.Parse(raw); err == nil && len(e.addrs) == 1 {
			if host := standard.Hostname(); !strings.EqualFold(host, e.addrs[0].host) {
				t.Fatalf("%q: net/url finds host %q, this package %q", raw, host, e.addrs[0].host)
			}
		}
	})
}
