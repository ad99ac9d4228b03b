package faults

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"pc4patroni/backends/etcd/etcdtest"

	"pc4patroni/internal/proctest"
)

// The faults in this file are those of a single etcd, and of the way to it.

// faultEtcdLate starts the program first, as after a power cut.
func faultEtcdLate(t *testing.T) {
	s := etcdtest.Start(t)
	s.Stop() // it keeps its address
	h := newHost(t, nil, s.URL())
	h.Declare(proctest.Declared{Name: "main"})
	proctest.Write(t, "from before\n", h.Dest("main"))
	h.Start()
	h.AwaitLog("backend cannot be read", 1)
	// Long enough for several attempts, each later than the one before.
	time.Sleep(4 * time.Second)
	h.FileIs(h.Dest("main"), "from before\n")
	s.Start()
	h.Etcd = s.Client()
	h.Put(proctest.Led("db1")...)
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.Logged("backend cannot be read", 1)
	h.Logged("backend is back", 1)
	if told := h.Told("main"); told[len(told)-1] != proctest.Db1 {
		t.Errorf("the proxy was told %q", told)
	}
}

// faultEtcdRestarted has etcd stop in good order and come back with its data and one
// change more.
func faultEtcdRestarted(t *testing.T) {
	s := etcdtest.Start(t)
	proxy := etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "http://"+proxy.Addr())
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	proxy.Cut()
	s.Restart()
	h.Etcd = s.Client()
	h.Put("/leader", "db2")
	h.AwaitLog("backend cannot be read", 1)
	proxy.Resume()
	h.AwaitTold("main", proctest.Db2)
	// And once more, too quickly to be noticed as away, perhaps.
	s.Restart()
	h.Etcd = s.Client()
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
}

// faultEtcdKilled kills Debian's etcd with -9 and starts it again.
func faultEtcdKilled(t *testing.T) {
	proctest.Need(t, "etcd")
	dir, port, peer := proctest.WorkDir(t), proctest.FreePort(t), proctest.FreePort(t)
	url, peerURL := "http://"+proctest.Loopback(port), "http://"+proctest.Loopback(peer)
	start := func() *proctest.Server {
		s := proctest.Launch(t, dir, "etcd", proctest.Account{}, nil, "etcd", "--name", "e1", "--data-dir", dir+"/data",
			"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peerURL,
			"--initial-advertise-peer-urls", peerURL, "--initial-cluster", "e1="+peerURL, "--logger", "zap", "--log-level", "error")
		s.AwaitPort(t, port)
		return s
	}
	s := start()
	h := newHost(t, proctest.DialEtcd(t, url), url)
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	s.Signal(t, syscall.SIGKILL)
	<-s.Done
	h.AwaitLog("backend cannot be read", 1)
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
	start()
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
	h.Logged("backend cannot be read", 1)
}

// age gives the store a history, so that an empty one has a lower revision.
func (h *host) age() {
	h.T.Helper()
	for i := range 20 {
		h.Put("/history", fmt.Sprint(i))
	}
}

// faultEtcdEmpty has somebody rebuild etcd from nothing, and Patroni fill it anew. The two
// stores have the same ID; the revision alone tells.
func faultEtcdEmpty(t *testing.T) {
	s := etcdtest.Start(t)
	h := newHost(t, s.Client(), s.URL())
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.age()
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	s.Replace("")
	h.Etcd = s.Client()
	h.AwaitLog("resource held", 1)
	h.FileIs(h.Dest("main"), proctest.Db1+"\n")
	h.Put(proctest.Led("db2")...)
	h.AwaitTold("main", proctest.Db2)
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
}

// faultEtcdReplaced has another cluster at the same address, with a longer history, while
// the program cannot see what happens.
func faultEtcdReplaced(t *testing.T) {
	s := etcdtest.Start(t)
	proxy := etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "http://"+proxy.Addr())
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	proxy.Cut()
	s.Replace("other")
	h.Etcd = s.Client()
	h.Put(proctest.Led("db2")...)
	h.age()
	proxy.Resume()
	h.AwaitTold("main", proctest.Db2)
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
}

// faultCompacted freezes the program, as a suspended virtual machine is, until etcd cannot
// send it any more and has forgotten what it missed.
func faultCompacted(t *testing.T) {
	s := etcdtest.Start(t)
	h := newHost(t, s.Client(), s.URL())
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	h.Run.Signal(t, syscall.SIGSTOP)
	// More than etcd, gRPC and the kernel buffer for a reader that does not read.
	large := strings.Repeat("x", 128<<10)
	for range 400 {
		h.Put("/large", large)
	}
	h.Put("/leader", "db2")
	s.Compact(s.Put("/elsewhere", "1"))
	h.Run.Signal(t, syscall.SIGCONT)
	h.AwaitTold("main", proctest.Db2)
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
	h.Logged("reason=compacted", 1)
}

// faultSilence has the path to etcd swallow everything, as a firewall does that lost its
// state, while another path is open.
func faultSilence(t *testing.T) {
	s := etcdtest.Start(t)
	silent, open := etcdtest.NewProxy(t, s.Addr()), etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "http://"+silent.Addr(), "http://"+open.Addr())
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	open.Cut() // so that it is the other one that is followed
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	open.Resume()
	silent.Freeze()
	h.Put("/leader", "db2")
	began := time.Now()
	h.AwaitTold("main", proctest.Db2)
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2)
}

// faultMembersLost takes the members of a cluster down one after another, its leader first.
func faultMembersLost(t *testing.T) {
	c := etcdtest.StartCluster(t, 3)
	first := c.Leader()
	h := newHost(t, first.Client(), c.URLs()...)
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	lines := []string{proctest.Db1}
	order := []*etcdtest.Member{first}
	for _, m := range c.Members {
		if m != first {
			order = append(order, m)
		}
	}
	for i, lost := range order {
		lost.Stop()
		h.Etcd = c.Leader().Client()
		leader, line := "db2", proctest.Db2
		if i%2 == 1 {
			leader, line = "db1", proctest.Db1
		}
		began := time.Now()
		h.Put("/leader", leader)
		h.AwaitTold("main", line)
		t.Logf("without member %d: told after %v", i, time.Since(began).Round(time.Millisecond))
		lines = append(lines, line)
		lost.Start()
	}
	h.Stop()
	h.ToldExactly("main", lines...)
}

// faultMemberIsolated has the program follow a member that others cannot reach. It answers
// and is silent, and must not pass for the cluster.
func faultMemberIsolated(t *testing.T) {
	c := etcdtest.StartCluster(t, 3)
	lonely := c.Follower()
	h := newHost(t, c.Leader().Client(), c.URLs()...)
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	for _, m := range c.Members {
		if m != lonely {
			m.Proxy.Cut()
		}
	}
	h.Start()
	h.AwaitTold("main", proctest.Db1)
	for _, m := range c.Members {
		m.Proxy.Resume()
	}
	lonely.Isolate()
	h.Put("/leader", "db2")
	began := time.Now()
	h.AwaitTold("main", proctest.Db2)
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	lonely.Rejoin()
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
}

// faultTokenExpired has a token that lives for a second. The interval makes the program
// ask again with it, and a broken connection makes it follow again with it.
func faultTokenExpired(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.WithAuth(), etcdtest.WithTokenTTL(time.Second))
	proxy := etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "http://"+proxy.Addr())
	s.AddUser("proxy", "not to be logged", h.Prefix+"/")
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	password := proctest.Write(t, "not to be logged\n", h.Dir, "password")
	h.Start("-username", "proxy", "-password-file", password, "-interval", "4s")
	h.AwaitTold("main", proctest.Db1)
	time.Sleep(5 * time.Second) // longer than the token lives, and than the interval
	h.Etcd = s.Client()
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	time.Sleep(2500 * time.Millisecond)
	proxy.Break()
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
	h.Logged("backend cannot be read", 1) // the broken connection
	h.Logged("not to be logged", 0)
}

// faultCertificateRotated has the certificate expire that the program started with, and
// another one in its place by then.
func faultCertificateRotated(t *testing.T) {
	ca := etcdtest.NewAuthority(t)
	s := etcdtest.Start(t, etcdtest.WithTLS(ca), etcdtest.WithClientCerts())
	proxy := etcdtest.NewProxy(t, s.Addr())
	h := newHost(t, s.Client(), "https://"+proxy.Addr())
	h.Declare(proctest.Declared{Name: "main"})
	h.Put(proctest.Led("db1")...)
	expires := time.Now().Add(6 * time.Second)
	pair := ca.Issue("proxy", func(c *x509.Certificate) { c.NotAfter = expires })
	h.Start("-client-ca-keys", ca.CertFile, "-client-cert", pair.Cert, "-client-key", pair.Key)
	h.AwaitTold("main", proctest.Db1)
	// What is connected stays connected.
	ctx, cancel := context.WithDeadline(t.Context(), expires.Add(1100*time.Millisecond))
	defer cancel()
	<-ctx.Done()
	h.Put("/leader", "db2")
	h.AwaitTold("main", proctest.Db2)
	// A new connection needs a valid certificate,
	proxy.Break()
	h.AwaitLog("backend cannot be read", 1)
	// which comes without the program being told.
	ca.Issue("proxy")
	h.Put("/leader", "db1")
	h.AwaitTold("main", proctest.Db1)
	h.Stop()
	h.ToldExactly("main", proctest.Db1, proctest.Db2, proctest.Db1)
}
