package main

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/resource"
)

// nameOf returns the name of the global backend.
func nameOf(t *testing.T, s *stores) string {
	t.Helper()
	name, err := s.key(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRenewedStores is about names over several readings of the configuration:
// the engine takes a backend for unchanged if its name is.
func TestRenewedStores(t *testing.T) {
	const nodes = "nodes = [\"https://a:1\"]\n"
	first := mustLoad(t, nodes+"username = \"u\"\npassword = \"one\"\n", nil)
	second := mustLoad(t, nodes+"username = \"u\"\npassword = \"two\"\n", nil)
	log := slog.New(slog.DiscardHandler)
	inUse := func(names ...string) map[string]resource.BackendStatus {
		m := make(map[string]resource.BackendStatus)
		for _, name := range names {
			m[name] = resource.BackendStatus{}
		}
		return m
	}

	s := newStores(first, log)
	const plain, other = "etcd https://a:1", "etcd https://a:1 (2)"
	for _, step := range []struct {
		why      string
		settings settings
		used     map[string]resource.BackendStatus
		want     string
	}{
		{"the same settings", first, inUse(plain), plain},
		{"another password", second, inUse(plain), other},
		{"the same again", second, inUse(other), other},
		{"back, with the first name free", first, inUse(other), plain},
		{"before the engine has begun", second, nil, other},
		{"and again", first, nil, plain},
	} {
		nameOf(t, s)
		s = s.renew(step.settings, step.used)
		if got := nameOf(t, s); got != step.want {
			t.Errorf("%s: the backend is called %q, want %q", step.why, got, step.want)
		}
	}
	// What nobody uses is forgotten, and its password with it.
	s = s.renew(first, inUse(plain))
	if len(s.byKey) != 1 {
		t.Errorf("%d backends are remembered, want 1", len(s.byKey))
	}
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
		{"listen = \"127.0.0.1:1\"\ncheck = true\n", []string{"check"}},
		{"listen = \"127.0.0.1:1\"\nshow = true\n", []string{"show"}},
		{"listen = \"127.0.0.1:1\"\ndump = \"x\"\n", []string{"dump"}},
	}
	for _, tt := range tests {
		p := &program{settings: mustLoad(t, tt.config, nil)}
		got := p.keepFixed(&old)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.config, diff)
		}
		s := &p.settings
		if s.Listen != old.Listen || s.LogFormat != "text" || s.OneTime || s.Noop || s.Check || s.Show || s.Dump != "" {
			t.Errorf("%q: what cannot change is not as it was: %+v", tt.config, s)
		}
	}
}
