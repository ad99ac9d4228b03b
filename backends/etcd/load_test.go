package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

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
		{[]string{"/service/batman"}, []string{"/service/batman", "/service/batman/leader", "/service/batman/members/db1"}},
		{[]string{"/service/batman/leader"}, []string{"/service/batman/leader"}},
		{[]string{"/service/batman/leader/"}, nil},
		{[]string{"/service/batman2/", "/service/batman-2"}, []string{"/service/batman2/leader", "/service/batman-2/leader"}},
		{[]string{"/service/batman/", "/service/"}, []string{
			"/service/batman", "/service/batman/leader", "/service/batman/members/db1",
			"/service/batman2/leader", "/service/batman-2/leader", "/service/batman0"}},
		{[]string{"/"}, []string{
			"/service/batman", "/service/batman/leader", "/service/batman/members/db1",
			"/service/batman2/leader", "/service/batman-2/leader", "/service/batman0", "/servicf"}},
	} {
		snap := load(t, c, tt.paths...)
		want := map[string]string{}
		for _, key := range tt.want {
			want[key] = "v " + key
		}
		if diff := cmp.Diff(want, snap.Values); diff != "" {
			t.Errorf("Load(%q): -want +got:\n%s", tt.paths, diff)
		}
		if snap.Version.Revision != last || snap.Version.Store == 0 {
			t.Errorf("Load(%q) is of version %+v, want revision %d of some store", tt.paths, snap.Version, last)
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

// putMany writes n keys below prefix, with their number as value.
func putMany(t testing.TB, s *etcdtest.Server, prefix string, n int) map[string]string {
	t.Helper()
	values := make(map[string]string, n)
	var ops []clientv3.Op
	for i := range n {
		key := fmt.Sprintf("%s%06d", prefix, i)
		values[key] = fmt.Sprint(i)
		if ops = append(ops, clientv3.OpPut(key, values[key])); len(ops) == 100 || i == n-1 {
			s.Txn(ops...)
			ops = nil
		}
	}
	return values
}

func TestLoad20000Keys(t *testing.T) {
	s := etcdtest.Start(t)
	want := putMany(t, s, "/service/big/", 20_000)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	if diff := cmp.Diff(want, load(t, c, "/service/big/").Values); diff != "" {
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
		snap := load(t, c, paths...)
		var seen [3]string
		for part := range 3 {
			seen[part] = snap.Values[keys[part*perTxn]]
			for _, k := range keys[part*perTxn : (part+1)*perTxn] {
				if snap.Values[k] != seen[part] {
					t.Fatalf("revision %d: %s = %s, but %s = %s, written together", snap.Version.Revision, keys[part*perTxn], seen[part], k, snap.Values[k])
				}
			}
		}
		if len(snap.Values) != len(keys)+6*pageMin {
			t.Fatalf("%d keys, want %d", len(snap.Values), len(keys)+6*pageMin)
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
	if diff := cmp.Diff(want, load(t, c, paths...).Values); diff != "" {
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

func TestCloseEndsCallsUnderWay(t *testing.T) {
	s := etcdtest.Start(t)
	proxy := etcdtest.NewProxy(t, s.Addr())
	c, err := New(Config{Nodes: []string{proxy.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, c, load(t, c, "/").Version, "/")
	proxy.Freeze()
	ended := make(chan error)
	go func() {
		_, err := c.Load(t.Context(), []string{"/"})
		ended <- err
	}()
	c.Close()
	if err := <-ended; !errors.Is(err, errClosed) {
		t.Errorf("Load ended with %v, want %v", err, errClosed)
	}
	if err := f.wait(); !errors.Is(err, errClosed) {
		t.Errorf("Follow ended with %v, want %v", err, errClosed)
	}
	if _, err := c.Load(t.Context(), []string{"/"}); !errors.Is(err, errClosed) {
		t.Errorf("Load after Close: %v, want %v", err, errClosed)
	}
	if err := c.Follow(t.Context(), []string{"/"}, backends.Version{}, nil); !errors.Is(err, errClosed) {
		t.Errorf("Follow after Close: %v, want %v", err, errClosed)
	}
}
