package etcdtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
)

// Cluster is several etcd servers that make one store. Clients reach each
// member through a proxy of its own.
type Cluster struct {
	Members []*Member
	t       testing.TB
}

// Member is one server of a Cluster.
type Member struct {
	*Server
	// Proxy is between clients and this member.
	Proxy *Proxy
	// peerProxy is between the other members and this one: its address is known
	// before the member starts, which all of them have to be told.
	peerProxy *Proxy
	id        types.ID
	cluster   *Cluster
}

// StartCluster starts n servers as one cluster and waits until all of them serve.
// TLS and authentication are not supported.
func StartCluster(t testing.TB, n int, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	timing := func(cfg *embed.Config) {
		// Members that share two processors with other tests must not lose
		// their leader for lack of time.
		cfg.TickMs, cfg.ElectionMs = 50, 500
	}
	var initial []string
	for i := range n {
		m := &Member{Server: newServer(t, fmt.Sprintf("m%d", i), opts), cluster: c}
		m.set.change = chain(timing, m.set.change)
		m.peerProxy = NewProxy(t, "")
		m.Proxy = NewProxy(t, "")
		m.advertise = "http://" + m.peerProxy.Addr()
		initial = append(initial, m.name+"="+m.advertise)
		c.Members = append(c.Members, m)
	}
	for _, m := range c.Members {
		m.initial = strings.Join(initial, ",")
		t.Cleanup(m.Stop)
		m.launch()
		m.peerProxy.SetTarget(m.peer.Host)
		m.Proxy.SetTarget(m.client.Host)
	}
	for _, m := range c.Members {
		m.waitReady()
		m.id = m.etcd.Server.MemberID()
	}
	return c
}

func chain(first, second func(*embed.Config)) func(*embed.Config) {
	return func(cfg *embed.Config) {
		first(cfg)
		if second != nil {
			second(cfg)
		}
	}
}

// URLs are the client URLs of all members, through their proxies.
func (c *Cluster) URLs() []string {
	var urls []string
	for _, m := range c.Members {
		urls = append(urls, m.URL())
	}
	return urls
}

// URL is the client URL of the member, through its proxy.
func (m *Member) URL() string { return "http://" + m.Proxy.Addr() }

// Leader waits until one of the running members leads, and returns it.
func (c *Cluster) Leader() *Member {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		for _, m := range c.Members {
			if m.etcd != nil && m.etcd.Server.Leader() == m.etcd.Server.MemberID() {
				return m
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("no member of the cluster leads after %v", patience)
		}
		time.Sleep(5 * time.Millisecond) // the pace of a poll that has a deadline
	}
}

// Follower returns a running member that does not lead.
func (c *Cluster) Follower() *Member {
	c.t.Helper()
	leader := c.Leader()
	for _, m := range c.Members {
		if m != leader && m.etcd != nil {
			return m
		}
	}
	c.t.Fatal("no member but the leader runs")
	return nil
}

// Isolate cuts a member off from the others, both ways, while clients still
// reach it.
func (m *Member) Isolate() {
	for _, other := range m.cluster.Members {
		if other != m {
			m.etcd.Server.CutPeer(other.id)
		}
	}
}

// Rejoin ends Isolate.
func (m *Member) Rejoin() {
	for _, other := range m.cluster.Members {
		if other != m {
			m.etcd.Server.MendPeer(other.id)
		}
	}
}
