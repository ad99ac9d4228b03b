package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

func TestLoadCoversWhatPathsCover(t *testing.T) {
	s := etcdtest.Start(t)
	var last int64
	for _, key := range []string{
		"/service/batman", "/service/batman/leader", "/service/batman/members/db1",
		"/service/batman2/leader", "/service/batman-2/leader", "/service/batman0", "/servicf", "plain",
	} {
		last = s.Put(key, "v "+key)
	}
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	for _, tt := range []struct {
		paths []string
		want  []string
	}{
		{[]string{"/service/batman/"}, []string{"/service/batman/leader", "/service/batman/members/db1"}},
		{[]string{"/service/batman"}, []string{"/service/batman"}},
		{[]string{"/service/batman/leader"}, []string{"/service/batman/leader"}},
		{[]string{"/service/batman/leader/"}, nil},
		{[]string{"/service/batman2/", "/service/batman-2/"}, []string{"/service/batman2/leader", "/service/batman-2/leader"}},
		{[]string{"/service/batman/", "/service/"}, []string{
			"/service/batman", "/service/batman/leader", "/service/batman/members/db1",
			"/service/batman2/leader", "/service/batman-2/leader", "/service/batman0"}},
		{[]string{"/"}, []string{
			"/service/batman", "/service/batman/leader", "/service/batman/members/db1",
			"/service/batman2/leader", "/service/batman-2/leader", "/service/batman0", "/servicf"}},
	} {
		keys, version := load(t, c, tt.paths...)
		want := map[string]string{}
		for _, key := range tt.want {
			want[key] = "v " + key
		}
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Errorf("Load(%q): -want +got:\n%s", tt.paths, diff)
		}
		if cluster, revision := parseVersion(version); revision != last || cluster == 0 {
			t.Errorf("Load(%q) is of version %s, want revision %d of some store", tt.paths, version, last)
		}
	}
}

func TestLoadRejectsBadPaths(t *testing.T) {
	c := newClient(t, Config{})
	for _, paths := range [][]string{nil, {"service"}, {""}} {
		if _, err := c.Load(t.Context(), paths); err == nil {
			t.Errorf("Load(%q) gives no error", paths)
		}
	}
}

func TestLoad20000Keys(t *testing.T) {
	s := etcdtest.Start(t)
	want := putMany(t, s, "/service/big/", 20_000)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	keys, _ := load(t, c, "/service/big/")
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLoadIsOneRevision writes to all keys in transactions while they are read
// in pages: a load that mixes revisions sees different values.
func TestLoadIsOneRevision(t *testing.T) {
	s := etcdtest.Start(t)
	const perTxn = 120
	keys := make([]string, 0, 3*perTxn)
	var paths []string
	for i := range 3 * perTxn {
		keys = append(keys, fmt.Sprintf("/service/c%03d/config", i))
		paths = append(paths, fmt.Sprintf("/service/c%03d/", i))
	}
	// In front of the keys lie enough others to fill pages.
	putMany(t, s, "/service/c000/a", 3*pageMin)
	putMany(t, s, "/service/c200/a", 3*pageMin)
	write := func(v int) {
		// Each third of the keys is written at one revision.
		for part := range 3 {
			var ops []clientv3.Op
			for _, k := range keys[part*perTxn : (part+1)*perTxn] {
				ops = append(ops, clientv3.OpPut(k, fmt.Sprint(v)))
			}
			s.Txn(ops...)
		}
	}
	write(0)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for v := 1; ; v++ {
			select {
			case <-stop:
				return
			default:
				write(v)
			}
		}
	})
	defer writer.Wait()
	defer close(stop)
	for range 20 {
		got, version := load(t, c, paths...)
		var seen [3]string
		for part := range 3 {
			seen[part] = got[keys[part*perTxn]]
			for _, k := range keys[part*perTxn : (part+1)*perTxn] {
				if got[k] != seen[part] {
					t.Fatalf("version %s: %s = %s, but %s = %s, written together", version, keys[part*perTxn], seen[part], k, got[k])
				}
			}
		}
		if len(got) != len(keys)+6*pageMin {
			t.Fatalf("%d keys, want %d", len(got), len(keys)+6*pageMin)
		}
	}
}

func TestLoad1000Paths(t *testing.T) {
	s := etcdtest.Start(t)
	want := map[string]string{}
	var paths []string
	for i := range 1000 {
		prefix := fmt.Sprintf("/service/c%04d/", i)
		paths = append(paths, prefix)
		maps.Copy(want, putMany(t, s, prefix, 6))
	}
	var proxy = etcdtest.NewProxy(t, s.Addr())
	c := newClient(t, Config{Nodes: []string{proxy.Addr()}})
	got, _ := load(t, c, paths...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if n := proxy.Accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	s := etcdtest.Start(t)
	proxy := etcdtest.NewProxy(t, s.Addr())
	c := newClient(t, Config{Nodes: []string{proxy.Addr()}})
	load(t, c, "/")
	proxy.Freeze()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.Load(ctx, []string{"/"})
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Load ended with %v, want %v", err, context.Canceled)
	}
}

// TestLoadAnswersInTheOrderOfPaths, each path on its own.
func TestLoadAnswersInTheOrderOfPaths(t *testing.T) {
	s := etcdtest.Start(t)
	s.Put("/b/x", "1")
	s.Put("/a/x", "2")
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	updates, err := c.Load(t.Context(), []string{"/b/", "/none/", "/", "/a/x", "/b/"})
	if err != nil {
		t.Fatal(err)
	}
	v := updates[0].Version
	want := []backends.Update{
		{Path: "/b/", Version: v, Keys: map[string]string{"/b/x": "1"}},
		{Path: "/none/", Version: v, Keys: map[string]string{}},
		{Path: "/", Version: v, Keys: map[string]string{"/a/x": "2", "/b/x": "1"}},
		{Path: "/a/x", Version: v, Keys: map[string]string{"/a/x": "2"}},
		{Path: "/b/", Version: v, Keys: map[string]string{"/b/x": "1"}},
	}
	if diff := cmp.Diff(want, updates); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLoadIsBounded: eight members that hang must not hold up a load for eight
// times the timeout.
func TestLoadIsBounded(t *testing.T) {
	s := etcdtest.Start(t)
	var nodes []string
	var proxies []*etcdtest.Proxy
	for range 8 {
		p := etcdtest.NewProxy(t, s.Addr())
		nodes, proxies = append(nodes, p.Addr()), append(proxies, p)
	}
	const timeout = 300 * time.Millisecond
	c := newClient(t, Config{Nodes: nodes, RequestTimeout: timeout})
	load(t, c, "/")
	for _, p := range proxies {
		p.Freeze()
	}
	started := time.Now()
	_, err := c.Load(t.Context(), []string{"/"})
	if took := time.Since(started); err == nil || took > (requestNodes+1)*timeout {
		t.Errorf("Load of members that hang took %v: %v", took, err)
	}
	if errors.Is(err, backends.ErrDenied) {
		t.Errorf("%v wraps ErrDenied", err)
	}
}
