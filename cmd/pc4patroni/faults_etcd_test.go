package main_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"
)

// The faults in this file are those of a single etcd, and of the way to it.

// faultEtcdLate starts the program first, as after a power cut.
func faultEtcdLate(t *testing.T) {
	s := etcdtest.Start(t)
	s.Stop() // it keeps its address
	h := newHost(t, nil, s.URL())
	h.declare(declared{name: "main"})
	write(t, "from before\n", h.dest("main"))
	h.start()
	h.awaitLog("backend cannot be read", 1)
	// Long enough for several attempts, each later than the one before.
	time.Sleep(4 * time.Second)
	h.fileIs(h.dest("main"), "from before\n")
	s.Start()
	h.etcd = s.Client()
	h.put(led("db1")...)
	h.awaitTold("main", db1)
	h.stop()
	h.logged("backend cannot be read", 1)
	h.logged("backend is back", 1)
	if told := h.told("main"); told[len(told)-1] != db1 {
		t.Errorf("the proxy was told %q", told)
	}
}

// faultEtcdRestarted has etcd stop in good order and come back with its data and one
// change more.
func faultEtcdRestarted(t *testing.T) {
	s := etcdtest.Start(t)
	proxy := etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "http://"+proxy.Addr())
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	proxy.Cut()
	s.Restart()
	h.etcd = s.Client()
	h.put("/leader", "db2")
	h.awaitLog("backend cannot be read", 1)
	proxy.Resume()
	h.awaitTold("main", db2)
	// And once more, too quickly to be noticed as away, perhaps.
	s.Restart()
	h.etcd = s.Client()
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
}

// faultEtcdKilled kills Debian's etcd with -9 and starts it again.
func faultEtcdKilled(t *testing.T) {
	need(t, "etcd")
	dir, port, peer := workDir(t), freePort(t), freePort(t)
	url, peerURL := "http://"+loopback(port), "http://"+loopback(peer)
	start := func() *server {
		s := launch(t, dir, "etcd", account{}, nil, "etcd", "--name", "e1", "--data-dir", dir+"/data",
			"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peerURL,
			"--initial-advertise-peer-urls", peerURL, "--initial-cluster", "e1="+peerURL, "--logger", "zap", "--log-level", "error")
		s.awaitPort(t, port)
		return s
	}
	s := start()
	h := newHost(t, dialEtcd(t, url), url)
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	s.signal(t, syscall.SIGKILL)
	<-s.done
	h.awaitLog("backend cannot be read", 1)
	h.fileIs(h.dest("main"), db1+"\n")
	start()
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	h.stop()
	h.toldExactly("main", db1, db2)
	h.logged("backend cannot be read", 1)
}

// age gives the store a history, so that an empty one has a lower revision.
func (h *host) age() {
	h.t.Helper()
	for i := range 20 {
		h.put("/history", fmt.Sprint(i))
	}
}

// faultEtcdEmpty has somebody rebuild etcd from nothing, and Patroni fill it anew. The two
// stores have the same ID; the revision alone tells.
func faultEtcdEmpty(t *testing.T) {
	s := etcdtest.Start(t)
	h := newHost(t, s.Client(), s.URL())
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.age()
	h.start()
	h.awaitTold("main", db1)
	s.Replace("")
	h.etcd = s.Client()
	h.awaitLog("resource held", 1)
	h.fileIs(h.dest("main"), db1+"\n")
	h.put(led("db2")...)
	h.awaitTold("main", db2)
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
}

// faultEtcdReplaced has another cluster at the same address, with a longer history, while
// the program cannot see what happens.
func faultEtcdReplaced(t *testing.T) {
	s := etcdtest.Start(t)
	proxy := etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "http://"+proxy.Addr())
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	proxy.Cut()
	s.Replace("other")
	h.etcd = s.Client()
	h.put(led("db2")...)
	h.age()
	proxy.Resume()
	h.awaitTold("main", db2)
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
}

// faultCompacted freezes the program, as a suspended virtual machine is, until etcd cannot
// send it any more and has forgotten what it missed.
func faultCompacted(t *testing.T) {
	s := etcdtest.Start(t)
	h := newHost(t, s.Client(), s.URL())
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	h.run.signal(t, syscall.SIGSTOP)
	// More than etcd, gRPC and the kernel buffer for a reader that does not read.
	large := strings.Repeat("x", 128<<10)
	for range 400 {
		h.put("/large", large)
	}
	h.put("/leader", "db2")
	s.Compact(s.Put("/elsewhere", "1"))
	h.run.signal(t, syscall.SIGCONT)
	h.awaitTold("main", db2)
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
	h.logged("reason=compacted", 1)
}

// faultSilence has the path to etcd swallow everything, as a firewall does that lost its
// state, while another path is open.
func faultSilence(t *testing.T) {
	s := etcdtest.Start(t)
	silent, open := etcdtest.NewProxy(t, s.Addr()), etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "http://"+silent.Addr(), "http://"+open.Addr())
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	open.Cut() // so that it is the other one that is followed
	h.start()
	h.awaitTold("main", db1)
	open.Resume()
	silent.Freeze()
	h.put("/leader", "db2")
	began := time.Now()
	h.awaitTold("main", db2)
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	h.stop()
	h.toldExactly("main", db1, db2)
}

// faultMembersLost takes the members of a cluster down one after another, its leader first.
func faultMembersLost(t *testing.T) {
	c := etcdtest.StartCluster(t, 3)
	first := c.Leader()
	h := newHost(t, first.Client(), c.URLs()...)
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	h.start()
	h.awaitTold("main", db1)
	lines := []string{db1}
	order := []*etcdtest.Member{first}
	for _, m := range c.Members {
		if m != first {
			order = append(order, m)
		}
	}
	for i, lost := range order {
		lost.Stop()
		h.etcd = c.Leader().Client()
		leader, line := "db2", db2
		if i%2 == 1 {
			leader, line = "db1", db1
		}
		began := time.Now()
		h.put("/leader", leader)
		h.awaitTold("main", line)
		t.Logf("without member %d: told after %v", i, time.Since(began).Round(time.Millisecond))
		lines = append(lines, line)
		lost.Start()
	}
	h.stop()
	h.toldExactly("main", lines...)
}

// faultMemberIsolated has the program follow a member that others cannot reach. It answers
// and is silent, and must not pass for the cluster.
func faultMemberIsolated(t *testing.T) {
	c := etcdtest.StartCluster(t, 3)
	lonely := c.Follower()
	h := newHost(t, c.Leader().Client(), c.URLs()...)
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	for _, m := range c.Members {
		if m != lonely {
			m.Proxy.Cut()
		}
	}
	h.start()
	h.awaitTold("main", db1)
	for _, m := range c.Members {
		m.Proxy.Resume()
	}
	lonely.Isolate()
	h.put("/leader", "db2")
	began := time.Now()
	h.awaitTold("main", db2)
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	lonely.Rejoin()
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
}

// faultTokenExpired has a token that lives for a second. The interval makes the program
// ask again with it, and a broken connection makes it follow again with it.
func faultTokenExpired(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth(), etcdtest.WithTokenTTL(time.Second))
	proxy := etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "http://"+proxy.Addr())
	s.AddUser("proxy", "not to be logged", h.prefix+"/")
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	password := write(t, "not to be logged\n", h.dir, "password")
	h.start("-username", "proxy", "-password-file", password, "-interval", "4s")
	h.awaitTold("main", db1)
	time.Sleep(5 * time.Second) // longer than the token lives, and than the interval
	h.etcd = s.Client()
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	time.Sleep(2500 * time.Millisecond)
	proxy.Break()
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
	h.logged("backend cannot be read", 0)
	h.logged("not to be logged", 0)
}

// faultCertificateRotated has the certificate expire that the program started with, and
// another one in its place by then.
func faultCertificateRotated(t *testing.T) {
	ca := etcdtest.NewAuthority(t)
	s := etcdtest.Start(t, etcdtest.WithTLS(ca), etcdtest.WithClientCerts())
	proxy := etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "https://"+proxy.Addr())
	h.declare(declared{name: "main"})
	h.put(led("db1")...)
	expires := time.Now().Add(6 * time.Second)
	pair := ca.Issue("proxy", func(c *x509.Certificate) { c.NotAfter = expires })
	h.start("-client-ca-keys", ca.CertFile, "-client-cert", pair.Cert, "-client-key", pair.Key)
	h.awaitTold("main", db1)
	// What is connected stays connected.
	ctx, cancel := context.WithDeadline(t.Context(), expires.Add(1100*time.Millisecond))
	defer cancel()
	<-ctx.Done()
	h.put("/leader", "db2")
	h.awaitTold("main", db2)
	// A new connection needs a valid certificate,
	proxy.Break()
	h.awaitLog("backend cannot be read", 1)
	// which comes without the program being told.
	ca.Issue("proxy")
	h.put("/leader", "db1")
	h.awaitTold("main", db1)
	h.stop()
	h.toldExactly("main", db1, db2, db1)
}
