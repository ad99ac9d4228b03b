package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// testHAProxyMoved moves the primary to other ports, and its REST API with it. Clients
// must get there after a reload, and after a restart that finds the state file of before.
func testHAProxyMoved(t *testing.T) {
	proctest.Need(t, "haproxy", "socat")
	dir := proctest.WorkDir(t)
	ca := newAuthority(t, dir)
	h := adoptHAProxy(t, dir, dir, nil)
	keys, state := filepath.Join(dir, "keys.toml"), filepath.Join(dir, "haproxy.state")
	register := func(addr, api string, others ...string) {
		t.Helper()
		proctest.Write(t, fmt.Sprintf("%q = %q\n", "/service/batman/leader", "db1")+memberKey("db1", addr, api)+strings.Join(others, ""), keys)
		proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", keys)
	}
	move := func(to string) {
		t.Helper()
		m := startMember(t, to, ca, true)
		register(m.postgres.Addr().String(), m.rest.URL)
	}
	leads := func(what, to string) {
		t.Helper()
		proctest.Eventually(t, 15*time.Second, what, func() error { return answers(h.primary, to+"\n") })
	}
	// restart brings the state file back that HAProxy wrote last, and changes the file
	// while HAProxy is down.
	restart := func(s *proctest.Server, change func()) *proctest.Server {
		t.Helper()
		before := proctest.Read(t, state)
		s.Stop(t)
		if err := os.Remove(h.pid); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		change()
		proctest.Write(t, before, state)
		return h.start(t)
	}

	move("first")
	s := h.start(t)
	leads("HAProxy leads to the primary", "first")

	move("second")
	if got := proctest.Read(t, state); !strings.Contains(got, " primary ") {
		t.Fatalf("HAProxy wrote down nothing that a reload could bring back:\n%s", got)
	}
	leads("after a reload HAProxy leads to the new port", "second")

	// The state file of "second", with the new port in the file.
	move("second")
	s = restart(s, func() { move("third") })
	leads("after a restart HAProxy leads to the new port", "third")

	// A host name that led elsewhere when the state was written down.
	named := startMember(t, "-", ca, true)
	addr := "localhost" + strings.TrimPrefix(greet(t, "fourth"), "127.0.0.1")
	register(addr, named.rest.URL)
	leads("after a reload HAProxy leads to the host name", "fourth")
	register(addr, named.rest.URL, memberKey("db2", "127.0.0.1:1", "https://127.0.0.1:1"))
	if before := proctest.Read(t, state); !strings.Contains(before, " localhost ") {
		t.Fatalf("the state file has no host name:\n%s", before)
	}
	proctest.Write(t, strings.ReplaceAll(proctest.Read(t, state), " 127.0.0.1 2 ", " 127.0.0.9 2 "), state)
	restart(s, func() {})
	leads("after a restart HAProxy leads to the new address of the host name", "fourth")
}

// memberKey is a member's key and value, as a line for -file.
func memberKey(name, addr, api string) string {
	return fmt.Sprintf("%q = '{\"conn_url\":\"postgres://%s/postgres\",\"api_url\":\"%s/patroni\",\"state\":\"running\",\"role\":\"replica\"}'\n",
		"/service/batman/members/"+name, addr, api)
}

// greet starts a server that says one word to everybody, and returns its address.
func greet(t *testing.T, word string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed above
			}
			fmt.Fprintln(conn, word)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

var limits = regexp.MustCompile(`(?m)^ *(hard-stop-after|timeout client|timeout server|proxy_timeout) ([0-9a-z]+)`)

// TestQuietConnectionsLive finds a sample that would cut a dump, or a query that says
// nothing for hours, because of a reload or for its silence.
func TestQuietConnectionsLive(t *testing.T) {
	found := 0
	for _, pattern := range []string{"haproxy*.tmpl", "nginx*.tmpl"} {
		templates, err := filepath.Glob(filepath.Join(proctest.Repository(t), "templates", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range templates {
			for _, match := range limits.FindAllStringSubmatch(proctest.Read(t, path), -1) {
				found++
				if limit, err := time.ParseDuration(match[2]); err != nil || limit < 24*time.Hour {
					t.Errorf("%s: %s cuts connections that are in use", filepath.Base(path), strings.TrimSpace(match[0]))
				}
			}
		}
	}
	if found == 0 {
		t.Error("no sample limits anything")
	}
}
