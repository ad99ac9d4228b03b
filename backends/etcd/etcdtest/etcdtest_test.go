package etcdtest

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// get reads a key with the test's client.
func get(t *testing.T, c *clientv3.Client, key string) (value string, resp *clientv3.GetResponse) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := c.Get(ctx, key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	for _, kv := range resp.Kvs {
		value = string(kv.Value)
	}
	return value, resp
}

func TestRestartKeepsDataAndAddress(t *testing.T) {
	s := Start(t)
	url := s.URL()
	s.Put("/a", "1")
	s.Restart()
	if got, _ := get(t, s.Client(), "/a"); got != "1" {
		t.Errorf("after a restart /a = %q, want 1", got)
	}
	if s.URL() != url {
		t.Errorf("address changed from %s to %s", url, s.URL())
	}
}

func TestReplace(t *testing.T) {
	s := Start(t)
	s.Put("/a", "1")
	_, before := get(t, s.Client(), "/a")
	s.Replace("")
	value, same := get(t, s.Client(), "/a")
	if value != "" || same.Header.Revision >= before.Header.Revision || same.Header.ClusterId != before.Header.ClusterId {
		t.Errorf("replaced with the same token: /a = %q, header %v, was %v", value, same.Header, before.Header)
	}
	s.Replace("other")
	if _, other := get(t, s.Client(), "/a"); other.Header.ClusterId == before.Header.ClusterId {
		t.Errorf("replaced with another token: still cluster %x", other.Header.ClusterId)
	}
}

func TestTLSAndAuth(t *testing.T) {
	ca := NewAuthority(t)
	s := Start(t, WithTLS(ca), WithClientCerts(), WithAuth())
	s.AddUser("batman", "secret", "/service/batman/")
	s.Put("/service/batman/leader", "db1")
	user := s.dial("batman", "secret")
	defer user.Close()
	if got, _ := get(t, user, "/service/batman/leader"); got != "db1" {
		t.Errorf("leader = %q, want db1", got)
	}
	if _, err := user.Get(t.Context(), "/service/batman2/leader"); err == nil {
		t.Error("a user limited to /service/batman/ may read /service/batman2/leader")
	}
}

func TestClusterIsolate(t *testing.T) {
	c := StartCluster(t, 3)
	leader := c.Leader()
	leader.Put("/a", "1")
	leader.Isolate()
	deadline := time.Now().Add(patience)
	var next *Member
	for next == nil {
		for _, m := range c.Members {
			if m != leader && m.etcd.Server.Leader() == m.id {
				next = m
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the others elect no leader")
		}
		time.Sleep(5 * time.Millisecond)
	}
	next.Put("/a", "2")
	leader.Rejoin()
	if got, _ := get(t, leader.Client(), "/a"); got != "2" {
		t.Errorf("after it rejoined the old leader says %q, want 2", got)
	}
}

func TestProxy(t *testing.T) {
	s := Start(t)
	s.Put("/a", "1")
	p := NewProxy(t, s.Addr())
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{p.Addr()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	get(t, c, "/a")
	p.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Get(ctx, "/a"); err == nil {
		t.Error("a frozen proxy passes data on")
	}
	p.Resume()
	get(t, c, "/a")
	p.Break()
	get(t, c, "/a")
	if p.Accepted() < 2 {
		t.Errorf("%d connections accepted, want at least 2", p.Accepted())
	}
}
