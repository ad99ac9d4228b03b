package etcd

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// installed starts the etcd program of this machine: Debian 12 has 3.4.23,
// which is older than several corrections that matter here.
func installed(t *testing.T, opts ...etcdtest.Option) *etcdtest.Server {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("no program etcd is installed: behaviour with other versions is not tested against a real one")
	}
	return etcdtest.Start(t, append(opts, etcdtest.WithProgram(path))...)
}

func TestInstalledEtcd(t *testing.T) {
	s := installed(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}, Silence: 150 * time.Millisecond})
	want := putMany(t, s, "/service/big/", 5000)
	keys, old := load(t, c, "/")
	if len(keys) != len(want) {
		t.Errorf("%d keys, want %d", len(keys), len(want))
	}
	w := startWatch(t, c, 100*time.Millisecond, from("", batman, "/service/big/")...)
	w.ready()
	w.signs(20)
	s.Put(batman+"leader", "db1")
	w.value(batman, batman+"leader", "db1")
	w.await("resyncs", func() bool { return w.resyncs[backends.ResyncInterval] > 5 })
	s.Restart()
	s.Put(batman+"leader", "db2")
	w = w.again(c)
	w.value(batman, batman+"leader", "db2")
	if len(w.resyncs) != 0 {
		t.Errorf("full states after a restart: %v, want none", w.resyncs)
	}
	w.cancel()

	s.Compact(s.Put("/a", "1"))
	w = watchPaths(t, c, from(old, "/")...)
	w.await("the state after a compaction", func() bool { return w.resyncs[backends.ResyncCompacted] == 1 && w.keys["/"]["/a"] == "1" })
	s.Replace("")
	w = w.again(c)
	if w.count(backends.ResyncReplaced) != 1 || len(w.keys["/"]) != 0 {
		t.Errorf("full states of another store: %v, keys: %v", w.resyncs, w.keys)
	}
	s.Put("/a", "2")
	w.value("/", "/a", "2")
}

// TestInstalledEtcdManyRanges: each path gets every change of a fast writer.
func TestInstalledEtcdManyRanges(t *testing.T) {
	s := installed(t)
	var paths []string
	for i := range 200 {
		paths = append(paths, fmt.Sprintf("/service/c%03d/", i))
	}
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	w := watchPaths(t, c, from("", paths...)...)
	for v := range 5 {
		for _, p := range paths {
			s.Put(p+"leader", fmt.Sprint(v))
		}
	}
	for _, p := range paths {
		w.value(p, p+"leader", "4")
	}
	if len(w.changes) != 5*len(paths) {
		t.Errorf("%d changes, want %d", len(w.changes), 5*len(paths))
	}
}

func TestInstalledEtcdAuth(t *testing.T) {
	ca := etcdtest.NewAuthority(t)
	s := installed(t, etcdtest.WithTLS(ca), etcdtest.WithAuth())
	s.AddUser("batman", "secret", batman)
	s.Put(batman+"leader", "db1")
	cfg := Config{Nodes: []string{s.Addr()}, ClientCAKeys: ca.CertFile, Username: "batman", Password: "secret", Silence: 300 * time.Millisecond}
	c := newClient(t, cfg)
	w := watchPaths(t, c, from("", batman, "/service/batman2/")...)
	w.value(batman, batman+"leader", "db1")
	if !errors.Is(w.denied["/service/batman2/"], backends.ErrDenied) {
		t.Error("what the role does not cover is not denied")
	}
	s.Put(batman+"leader", "db2")
	w.value(batman, batman+"leader", "db2")

	// A changed password makes all tokens invalid. 3.4 calls that a missing
	// permission.
	first := c.token.value.Load()
	s.SetPassword("batman", "secret")
	w.await("a new token", func() bool { return c.token.value.Load() != first })
	w.signs(3)
	s.Put(batman+"leader", "db3")
	w.value(batman, batman+"leader", "db3")
	if w.denied[batman] != nil || len(w.resyncs) != 1 {
		t.Errorf("denied: %v, full states: %v", w.denied[batman], w.resyncs)
	}

	s.Restart()
	s.Put(batman+"leader", "db5")
	w = w.again(c)
	w.value(batman, batman+"leader", "db5")

	cfg.Password = "wrong"
	if _, err := newClient(t, cfg).Load(t.Context(), []string{batman}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load with a wrong password: %v", err)
	}
	cfg.Username, cfg.Password = "", ""
	if _, err := newClient(t, cfg).Load(t.Context(), []string{batman}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load without a user: %v", err)
	}
}
