package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pc4patroni/internal/proctest"
)

// adoptRuntimeHAProxy is the sample for HAProxy's runtime socket, adopted by a test.
func adoptRuntimeHAProxy(t *testing.T, dir string) *haproxy {
	t.Helper()
	h := &haproxy{
		dir:     dir,
		cfg:     filepath.Join(dir, "runtime.cfg"),
		pid:     filepath.Join(dir, "haproxy.pid"),
		reloads: filepath.Join(dir, "haproxy.reloads"),
		primary: proctest.FreePort(t), replicas: proctest.FreePort(t),
	}
	adopt(t, dir, "haproxy-runtime", edits{
		"/etc/haproxy/runtime.cfg":            h.cfg,
		"/run/haproxy/admin.sock":             filepath.Join(dir, "haproxy.sock"),
		"/var/lib/pc4patroni/haproxy-started": filepath.Join(dir, "haproxy.started"),
		"bind *:5000":                         "bind " + proctest.Loopback(h.primary),
		"bind *:5001":                         "bind " + proctest.Loopback(h.replicas),
		"bind 127.0.0.1:7000":                 "bind " + proctest.Loopback(proctest.FreePort(t)),
		"systemctl reload haproxy":            fmt.Sprintf("{ echo reload >>%s; if test -s %[2]s; then kill -USR2 $(cat %[2]s); fi; }", h.reloads, h.pid),
	})
	return h
}

// open connects to a port, wants to be greeted by a word, and keeps the connection.
func open(t *testing.T, port int, word string) *bufio.Reader {
	t.Helper()
	var lines *bufio.Reader
	proctest.Eventually(t, 10*time.Second, "a connection leads to "+word, func() error {
		conn, err := net.DialTimeout("tcp", proctest.Loopback(port), time.Second)
		if err != nil {
			return err
		}
		lines = bufio.NewReader(conn)
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		line, err := lines.ReadString('\n')
		if err == nil && line != word+"\n" {
			err = fmt.Errorf("%q answers", line)
		}
		if err != nil {
			conn.Close()
			return err
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		return nil
	})
	return lines
}

// hold starts a server that says one word to everybody and keeps every connection until
// the other side closes it, and returns its address.
func hold(t *testing.T, word string) string {
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
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, word)
				_, _ = conn.Read(make([]byte, 1))
			}()
		}
	}()
	return l.Addr().String()
}

// testHAProxyRuntime changes the cluster under a running HAProxy: what its socket can be
// told is told, without a reload, and only those lose their connections whose server is
// not any more what its port promises. The rest is a reload, and the file is always right.
func testHAProxyRuntime(t *testing.T) {
	proctest.Need(t, "haproxy", "socat")
	dir := proctest.WorkDir(t)
	h := adoptRuntimeHAProxy(t, dir)
	keys := filepath.Join(dir, "keys.toml")
	members := map[string]string{}
	for _, name := range []string{"db1", "db2", "db3"} {
		members[name] = hold(t, name)
	}
	apply := func(leader string, reloads int) {
		t.Helper()
		text := fmt.Sprintf("%q = %q\n", "/service/batman/leader", leader)
		for name, addr := range members {
			text += memberKey(name, addr, "http://127.0.0.1:1")
		}
		proctest.Write(t, text, keys)
		proctest.Apply(t, 0, "-onetime", "-confdir", dir, "-file", keys)
		if got := count(t, h.reloads); got != reloads {
			t.Fatalf("%d reloads with %s as the leader, want %d; the file:\n%s", got, leader, reloads, proctest.Read(t, h.cfg))
		}
	}
	lives := func(what string, r *bufio.Reader, want bool) {
		t.Helper()
		conn := make(chan error, 1)
		go func() { _, err := r.ReadByte(); conn <- err }()
		select {
		case <-conn:
			if want {
				t.Errorf("%s was cut", what)
			}
		case <-time.After(500 * time.Millisecond):
			if !want {
				t.Errorf("%s lives on", what)
			}
		}
	}

	// The first file is a reload, because nobody knows what runs.
	apply("db1", 1)
	s := h.start(t)
	writer := open(t, h.primary, "db1")
	onDB2, onDB3 := open(t, h.replicas, "db2"), open(t, h.replicas, "db3")

	apply("db2", 1)
	lives("the connection to the former primary", writer, false)
	lives("the reader on the new primary", onDB2, false)
	lives("the reader on the other replica", onDB3, true)
	writer = open(t, h.primary, "db2")
	open(t, h.replicas, "db1")

	// The primary moves to another port, and a replica goes.
	members["db2"] = hold(t, "db2 moved")
	delete(members, "db1")
	apply("db2", 1)
	lives("the connection to the former port", writer, false)
	open(t, h.primary, "db2 moved")
	open(t, h.replicas, "db3")

	// Nobody but the primary is left: reads go there.
	db3 := members["db3"]
	delete(members, "db3")
	apply("db2", 1)
	open(t, h.replicas, "db2 moved")
	members["db3"], members["db4"] = db3, hold(t, "db4")
	apply("db2", 1)
	writer = open(t, h.primary, "db2 moved")
	open(t, h.replicas, "db3")
	open(t, h.replicas, "db4")

	// What the socket cannot be told, and what the file says at the next start.
	for i := range 7 {
		members[fmt.Sprintf("more%d", i)] = hold(t, fmt.Sprintf("more%d", i))
	}
	apply("db2", 2)
	open(t, h.replicas, "more6")
	lives("the writer after a reload", writer, true)
	for i := range 7 {
		delete(members, fmt.Sprintf("more%d", i))
	}
	apply("db3", 2)
	s.Stop(t)
	s = h.start(t)
	open(t, h.primary, "db3")
	open(t, h.replicas, "db4")

	// Another template, and a HAProxy that does not run.
	tmpl := filepath.Join(dir, "templates", "haproxy-runtime.cfg.tmpl")
	proctest.Write(t, strings.Replace(proctest.Read(t, tmpl), "timeout connect 4s", "timeout connect 5s", 1), tmpl)
	apply("db3", 3)
	s.Stop(t)
	if err := os.Remove(h.pid); err != nil {
		t.Fatal(err)
	}
	apply("db2", 4)
	h.start(t)
	open(t, h.primary, "db2 moved")
}
