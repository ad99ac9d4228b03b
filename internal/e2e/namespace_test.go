package e2e

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"pc4patroni/internal/proctest"
)

// scope is a cluster of a namespace, as a test writes it down.
type scope struct {
	name   string
	age    int    // which one was initialised before which
	config string // Patroni's dynamic configuration
	gone   bool   // its keys have expired
}

// namespaceSample is the sample for every cluster of one, adopted by a test.
type namespaceSample struct {
	dir, target string
}

func adoptNamespace(t *testing.T) *namespaceSample {
	t.Helper()
	dir := proctest.WorkDir(t)
	n := &namespaceSample{dir: dir, target: filepath.Join(dir, "namespace.cfg")}
	adopt(t, dir, "haproxy-namespace", edits{"/etc/haproxy/namespace.cfg": n.target})
	return n
}

// render has the sample's file made of these clusters, and judged by HAProxy.
func (n *namespaceSample) render(t *testing.T, status int, scopes ...scope) proctest.Outcome {
	t.Helper()
	var keys strings.Builder
	for _, s := range scopes {
		fmt.Fprintf(&keys, "\"/service/%s/initialize\" = \"%d\"\n", s.name, int64(1_700_000_000+s.age)<<32)
		if s.config != "" {
			fmt.Fprintf(&keys, "\"/service/%s/config\" = '%s'\n", s.name, s.config)
		}
		if s.gone {
			continue
		}
		fmt.Fprintf(&keys, "\"/service/%s/leader\" = \"n1\"\n", s.name)
		keys.WriteString(strings.Replace(memberKey("n1", "10.0.0.1:5432", "http://10.0.0.1:8008"), "/batman/", "/"+s.name+"/", 1))
	}
	return proctest.Apply(t, status, "-onetime", "-sync-only", "-confdir", n.dir, "-file", proctest.Write(t, keys.String(), n.dir, "keys.toml"))
}

// ports are the clusters of the table at the top of the file with their ports, and
// those that the table says are left out with the reason.
func (n *namespaceSample) ports(t *testing.T) (served, leftOut map[string]string) {
	t.Helper()
	served, leftOut = map[string]string{}, map[string]string{}
	for line := range strings.Lines(proctest.Read(t, n.target)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 6 && fields[0] == "#" && fields[2] == "writes":
			served[fields[1]] = fields[3] + " " + fields[5]
		case len(fields) > 3 && fields[0] == "#" && strings.HasSuffix(fields[1], ":"):
			leftOut[strings.TrimSuffix(fields[1], ":")] = strings.Join(fields[2:], " ")
		}
	}
	return served, leftOut
}

// testNamespacePorts proves what the namespace-wide HAProxy promises of its ports.
func testNamespacePorts(t *testing.T) {
	proctest.Need(t, "haproxy")
	proctest.NeedRoot(t, "have HAProxy check a chroot")
	n := adoptNamespace(t)
	var old []scope
	for i := range 2000 {
		old = append(old, scope{name: fmt.Sprintf("pg%04d", i), age: 3000 - i})
	}
	n.render(t, 0, old...)
	before, leftOut := n.ports(t)
	owners := map[string]string{}
	for name, pair := range before {
		if other, taken := owners[pair]; taken {
			t.Errorf("%s and %s both have the ports %s", name, other, pair)
		}
		owners[pair] = name
	}
	if len(before)+len(leftOut) != 2000 {
		t.Errorf("%d clusters have ports and %d are said to have none, want 2000 in all", len(before), len(leftOut))
	}
	if len(leftOut) == 0 || len(leftOut) > 400 {
		t.Errorf("%d clusters collide, want some and few", len(leftOut))
	}

	// Younger ones come, whose names sort before and after the others.
	all := old
	for i := range 100 {
		all = append(all, scope{name: fmt.Sprintf("%c-new%d", "az"[i%2], i), age: 5000 + i})
	}
	n.render(t, 0, all...)
	after, _ := n.ports(t)
	for name, pair := range before {
		if after[name] != pair {
			t.Errorf("%s: the ports moved from %q to %q when other clusters came", name, pair, after[name])
		}
	}

	// Those that were left out are given ports.
	for i, s := range old {
		if leftOut[s.name] != "" {
			old[i].config = fmt.Sprintf(`{"haproxy_port": %d}`, 32000+2*i)
		}
	}
	n.render(t, 0, old...)
	served, leftOut := n.ports(t)
	if len(served) != 2000 || len(leftOut) != 0 {
		t.Errorf("with ports of their own %d clusters are served, want 2000; left out: %v", len(served), leftOut)
	}
}

// testNamespaceCollision has two clusters want one port. The older one keeps it, even
// while its members are away, and whatever else is wrong is named and left out.
func testNamespaceCollision(t *testing.T) {
	proctest.Need(t, "haproxy")
	proctest.NeedRoot(t, "have HAProxy check a chroot")
	n := adoptNamespace(t)
	older := scope{name: "m", age: 1, config: `{"haproxy_port": 5000}`}
	younger := scope{name: "a", age: 2, config: `{"haproxy_port": "5001"}`}
	n.render(t, 0, older, younger,
		scope{name: "text", age: 3, config: `{"haproxy_port": "many"}`},
		scope{name: "high", age: 3, config: `{"haproxy_port": 65535}`},
		scope{name: "pg@home", age: 3})
	served, leftOut := n.ports(t)
	if want := map[string]string{"m": "5000 5001"}; !maps.Equal(served, want) {
		t.Errorf("served %v, want %v", served, want)
	}
	for name, reason := range map[string]string{
		"a":    "has no ports, since the older m has 5001. Set haproxy_port",
		"text": "haproxy_port is not a port",
		"high": "haproxy_port is not a port",

		"pg@home": "HAProxy does not take this name",
	} {
		if leftOut[name] != reason {
			t.Errorf("%s is left out because of %q, want %q", name, leftOut[name], reason)
		}
	}

	older.gone = true
	n.render(t, 0, older, younger, scope{name: "other", age: 3})
	if served, _ := n.ports(t); served["a"] != "" {
		t.Errorf("while the members of m are away, a gets its ports: %v", served)
	}
}

// testNamespaceHeld lets the keys of a primary expire that may serve on.
func testNamespaceHeld(t *testing.T) {
	proctest.Need(t, "haproxy")
	proctest.NeedRoot(t, "have HAProxy check a chroot")
	for _, config := range []string{`{"failsafe_mode": true}`, `{"pause": true}`} {
		n := adoptNamespace(t)
		live, other := scope{name: "live", config: config}, scope{name: "other", age: 1}
		n.render(t, 0, live, other)
		before := proctest.Read(t, n.target)
		live.gone = true
		got := n.render(t, 1, live, other)
		if want := "nobody holds the lock of live, which is paused or in failsafe mode"; !strings.Contains(got.Stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, got.Stderr)
		}
		if proctest.Read(t, n.target) != before {
			t.Errorf("%s: a primary that may be alive was dropped:\n%s", config, proctest.Read(t, n.target))
		}
	}
}
