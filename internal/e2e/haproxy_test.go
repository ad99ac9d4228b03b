package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// haproxy is the sample for HAProxy, adopted by a test, and where it then is.
type haproxy struct {
	dir, cfg, pid, reloads string
	primary, replicas      int // ports
}

func adoptHAProxy(t *testing.T, dir, confdir string, more edits) *haproxy {
	t.Helper()
	h := &haproxy{
		dir:     dir,
		cfg:     filepath.Join(dir, "haproxy.cfg"),
		pid:     filepath.Join(dir, "haproxy.pid"),
		reloads: filepath.Join(dir, "haproxy.reloads"),
		primary: proctest.FreePort(t), replicas: proctest.FreePort(t),
	}
	changes := edits{
		"/etc/haproxy/haproxy.cfg":          h.cfg,
		"/run/haproxy/admin.sock":           filepath.Join(dir, "haproxy.sock"),
		"/var/lib/pc4patroni/haproxy-state": filepath.Join(dir, "haproxy.state"),
		"bind *:5000":                       "bind " + proctest.Loopback(h.primary),
		"bind *:5001":                       "bind " + proctest.Loopback(h.replicas),
		"bind 127.0.0.1:7000":               "bind " + proctest.Loopback(proctest.FreePort(t)),
		// What systemctl does for Debian's unit, and a count of how often.
		"systemctl reload haproxy": fmt.Sprintf("echo reload >>%s; if test -s %[2]s; then kill -USR2 $(cat %[2]s); fi", h.reloads, h.pid),
	}
	for before, after := range more {
		changes[before] = after
	}
	adopt(t, confdir, "haproxy", changes)
	return h
}

// start runs HAProxy as Debian's unit does, save that it need not tell systemd.
func (h *haproxy) start(t *testing.T) *proctest.Server {
	t.Helper()
	proctest.NeedRoot(t, "run HAProxy with the sample, which gives root up by itself")
	s := proctest.Launch(t, h.dir, "haproxy", proctest.Account{}, nil, "haproxy", "-W", "-f", h.cfg, "-p", h.pid)
	s.AwaitPort(t, h.primary)
	return s
}

// testHAProxySync switches synchronous replication on and sends clients to the replica
// that became synchronous and to the other one; the proxy of a whole namespace, beside
// it, knows the cluster by its ports.
func testHAProxySync(t *testing.T, c *cluster) {
	proctest.Need(t, "haproxy", "psql")
	proctest.NeedRoot(t, "run HAProxy with the sample, which gives root up by itself")
	dir := proctest.WorkDir(t)
	state := filepath.Join(dir, "state")
	primary, synchronous, asynchronous := proctest.FreePort(t), proctest.FreePort(t), proctest.FreePort(t)
	adopt(t, dir, "haproxy-sync", edits{
		"/service/joker":                          "/service/" + c.scope,
		"/etc/haproxy/sync.cfg":                   filepath.Join(dir, "sync.cfg"),
		"/run/haproxy/admin.sock":                 filepath.Join(dir, "sync.sock"),
		"/var/lib/pc4patroni/haproxy-state":       state,
		"bind *:":                                 "bind 127.0.0.1:",
		`"primary" 5000 "sync" 5001 "async" 5002`: fmt.Sprintf(`"primary" %d "sync" %d "async" %d`, primary, synchronous, asynchronous),
		"systemctl reload haproxy":                "true",
	})
	pair := proctest.FreePair(t)
	adopt(t, dir, "haproxy-namespace", edits{
		"/etc/haproxy/namespace.cfg":        filepath.Join(dir, "namespace.cfg"),
		"/run/haproxy/admin.sock":           filepath.Join(dir, "namespace.sock"),
		"/var/lib/pc4patroni/haproxy-state": state,
		"bind *:":                           "bind 127.0.0.1:",
		"systemctl reload haproxy":          "true",
	})
	c.setConfig(t, fmt.Sprintf(`{"haproxy_port": %d}`, pair))
	t.Cleanup(func() { c.setConfig(t, `{"haproxy_port": null}`) })
	proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-node", c.etcd.url)
	for _, name := range []string{"sync", "namespace"} {
		s := proctest.Launch(t, dir, "haproxy-"+name, proctest.Account{}, nil, "haproxy", "-W", "-f", filepath.Join(dir, name+".cfg"))
		s.AwaitPort(t, map[string]int{"sync": primary, "namespace": pair}[name])
	}

	c.setConfig(t, `{"synchronous_mode": true}`)
	t.Cleanup(func() { c.setConfig(t, `{"synchronous_mode": null}`) })
	var chosen *node
	proctest.Eventually(t, time.Minute, "Patroni has a synchronous replica", func() error {
		for _, n := range c.nodes {
			if code, err := n.rest(t, "/sync"); err == nil && code == http.StatusOK {
				chosen = n
				return nil
			}
		}
		return fmt.Errorf("no node answers /sync: %s", c.key(t, "sync"))
	})
	leads := func(port int, right func(got string) bool) func() error {
		return func() error {
			got, err := query(t, as(port, "app"), whereami)
			if err == nil && !right(got) {
				err = fmt.Errorf("%q answered; the synchronous replica is %s at %d", got, chosen.Name, chosen.PG)
			}
			return err
		}
	}
	first, reply := c.primary(t), fmt.Sprintf("t|%d", chosen.PG)
	proctest.Eventually(t, 30*time.Second, "the port for synchronous replicas", leads(synchronous, func(got string) bool { return got == reply }))
	proctest.Eventually(t, 30*time.Second, "the port for the others", leads(asynchronous, func(got string) bool { return strings.HasPrefix(got, "t|") && got != reply }))
	for _, port := range []int{primary, pair} {
		proctest.Eventually(t, 30*time.Second, "the port for writes", func() error { return first.answers(t, as(port, "app")) })
	}
	proctest.Eventually(t, 30*time.Second, "the namespace's port for reads", leads(pair+1, func(got string) bool { return strings.HasPrefix(got, "t|") }))
}

// anonymous finds the digits that the samples for HAProxy put after a server's name.
var anonymous = regexp.MustCompile(`(?m)^(    server \S+)-[0-9a-f]{6} `)

// testHAProxyAccepts renders the sample for clusters of different shapes, with its
// own check_cmd as the judge.
func testHAProxyAccepts(t *testing.T) {
	proctest.Need(t, "haproxy")
	proctest.NeedRoot(t, "have HAProxy check a chroot")
	dir := proctest.WorkDir(t)
	ca := newAuthority(t, dir)
	for _, tt := range []struct {
		name string
		keys string // of a file in testdata
		more edits
		want []string
	}{
		{
			name: "the sample cluster",
			keys: "../../../sample/cluster.toml",
			want: []string{
				"server db1 10.0.0.1:5432 maxconn 100 check port 8008\n",
				"server db2 10.0.0.2:5432 maxconn 100 check port 8008\n",
				"server db3 10.0.0.3:5432 maxconn 100 check port 8008\n",
			},
		},
		{
			name: "IPv6 and TLS",
			keys: "ipv6-tls.toml",
			want: []string{
				"server v6-a [2001:db8::11]:5432 maxconn 100 check port 8008 check-ssl verify none\n",
				"server v6-b [2001:db8::12]:6432 maxconn 100 check addr [2001:db8::22]:8009 port 8009 check-ssl verify none\n",
				"server v6-c [2001:db8::13]:5432 maxconn 100 check port 8008 check-ssl verify none\n",
			},
		},
		{
			name: "certificates verified",
			keys: "tls.toml",
			more: edits{`"check-ssl verify none"`: fmt.Sprintf("%q", "check-ssl verify required ca-file "+ca.ca)},
			want: []string{"server db1 10.0.0.1:5432 maxconn 100 check port 8008 check-ssl verify required ca-file " + ca.ca + "\n"},
		},
		{
			name: "odd members",
			keys: "odd.toml",
			want: []string{
				"server node1 10.0.0.1:5432 maxconn 100 check port 8008\n",
				"server node_2 10.0.0.2:5432 maxconn 100 check port 8008\n",
				"server node3 nowhere.invalid:5432 maxconn 100 check port 8008\n",
				"server node5 10.0.0.5:5432 maxconn 100 check port 8008\n",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := proctest.WorkDir(t)
			h := adoptHAProxy(t, dir, dir, tt.more)
			proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", filepath.Join("testdata", tt.keys))
			got := anonymous.ReplaceAllString(proctest.Read(t, h.cfg), "$1 ")
			for _, line := range tt.want {
				if n := strings.Count(got, "    "+line); n != 2 {
					t.Errorf("%d times, want once in each of two listeners: %q in\n%s", n, line, got)
				}
			}
			if got, want := strings.Count(got, "    server "), 2*len(tt.want); got != want {
				t.Errorf("%d servers, want %d", got, want)
			}
		})
	}

	for keys, want := range map[string]string{
		"no-members.toml": "no member of the cluster has an address and a REST API",
		"failsafe.toml":   "nobody holds the lock, and the cluster is paused or in failsafe mode: its primary may serve on",
	} {
		t.Run(keys, func(t *testing.T) {
			dir := proctest.WorkDir(t)
			h := adoptHAProxy(t, dir, dir, nil)
			proctest.Write(t, "as it was\n", h.cfg)
			got := proctest.Apply(t, 1, "-onetime", "-confdir", dir, "-file", filepath.Join("testdata", keys))
			if !strings.Contains(got.Stderr, want) {
				t.Errorf("stderr lacks %q:\n%s", want, got.Stderr)
			}
			if now := proctest.Read(t, h.cfg); now != "as it was\n" {
				t.Errorf("the last good file was replaced by\n%s", now)
			}
			if n := count(t, h.reloads); n != 0 {
				t.Errorf("%d reloads, want none", n)
			}
		})
	}
}

// member is a stand-in for a node: a server for "PostgreSQL" that says its name, and
// a REST API over TLS, which is on another address, as it may be.
type member struct {
	name     string
	postgres net.Listener
	rest     *httptest.Server
	primary  bool
}

func startMember(t *testing.T, name string, ca *authority, primary bool) *member {
	t.Helper()
	m := &member{name: name, primary: primary}
	var err error
	if m.postgres, err = net.Listen("tcp", "[::1]:0"); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := m.postgres.Accept()
			if err != nil {
				return // closed below
			}
			fmt.Fprintln(conn, name)
			conn.Close()
		}
	}()
	m.rest = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions || (r.URL.Path == "/primary") != m.primary {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	m.rest.Listener.Close()
	if m.rest.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(ca.serverCert, ca.serverKey)
	if err != nil {
		t.Fatal(err)
	}
	m.rest.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	m.rest.StartTLS()
	t.Cleanup(func() {
		m.postgres.Close()
		m.rest.Close()
	})
	return m
}

// answers is the condition that whoever connects to the port several times over gets
// that one answer each time.
func answers(port int, want string) error {
	for range 6 {
		conn, err := net.Dial("tcp", proctest.Loopback(port))
		if err != nil {
			return err
		}
		got, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || string(got) != want {
			return fmt.Errorf("port %d: %q answered (%v), want %q", port, got, err, want)
		}
	}
	return nil
}

// worker returns the process id of the HAProxy that serves, by its own word.
func (h *haproxy) worker() (string, error) {
	conn, err := net.Dial("unix", filepath.Join(h.dir, "haproxy.sock"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "show info\n"); err != nil {
		return "", err
	}
	info, err := io.ReadAll(conn)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(info)) {
		if pid, ok := strings.CutPrefix(line, "Pid: "); ok {
			return strings.TrimSpace(pid), nil
		}
	}
	return "", fmt.Errorf("show info names no process: %s", info)
}

// testHAProxyTLS proves that the checks of the sample work over TLS and IPv6, with
// verified certificates: which node gets the connections is up to them alone. It
// also proves that a reload forgets nothing of what they found.
func testHAProxyTLS(t *testing.T) {
	proctest.Need(t, "haproxy", "socat")
	dir := proctest.WorkDir(t)
	ca := newAuthority(t, dir)
	snapshot := filepath.Join(dir, "keys.toml")
	h := adoptHAProxy(t, dir, dir, edits{
		`"check-ssl verify none"`: fmt.Sprintf("%q", "check-ssl verify required ca-file "+ca.ca),
	})
	register := func(members ...*member) {
		t.Helper()
		var keys strings.Builder
		fmt.Fprintf(&keys, "%q = %q\n", "/service/batman/leader", "b")
		for _, m := range members {
			fmt.Fprintf(&keys, "%q = '{\"conn_url\":\"postgres://%s/postgres\",\"api_url\":\"%s/patroni\",\"state\":\"running\",\"role\":\"replica\"}'\n",
				"/service/batman/members/"+m.name, m.postgres.Addr(), m.rest.URL)
		}
		proctest.Write(t, keys.String(), snapshot)
		proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", snapshot)
	}

	members := []*member{startMember(t, "a", ca, false), startMember(t, "b", ca, true)}
	register(members...)
	s := h.start(t)
	for port, want := range map[int]string{h.primary: "b\n", h.replicas: "a\n"} {
		proctest.Eventually(t, 30*time.Second, "HAProxy has checked its servers", func() error {
			if err := s.Running(); err != nil {
				return err
			}
			// A server counts as up until its first check, so once is not enough.
			return answers(port, want)
		})
	}

	// A new member means a reload. HAProxy would take all three for healthy then,
	// and offer "a" for writes until its first check.
	before, err := h.worker()
	if err != nil {
		t.Fatal(err)
	}
	register(append(members, startMember(t, "c", ca, false))...)
	if n := count(t, h.reloads); n != 2 {
		t.Errorf("%d reloads, want 2", n)
	}
	proctest.Eventually(t, 30*time.Second, "HAProxy has a new worker", func() error {
		now, err := h.worker()
		if err == nil && now == before {
			err = fmt.Errorf("it still is %s", now)
		}
		return err
	})
	for range 6 {
		conn, err := net.Dial("tcp", proctest.Loopback(h.primary))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || string(got) == "a\n" {
			t.Errorf("right after the reload %q answered on the port for writes (%v)", got, err)
		}
	}
}
