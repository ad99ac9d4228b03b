package etcd

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// installed starts the etcd program of this machine: Debian 12 has 3.4.23,
// which is older than several corrections that matter here. The fake server in
// fake_test.go covers the same ground where none is installed.
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
	c := newClient(t, Config{Nodes: []string{s.URL()}, Silence: 100 * time.Millisecond})
	want := putMany(t, s, "/service/big/", 5000)
	snap := load(t, c, "/")
	if len(snap.Values) != len(want) {
		t.Errorf("%d keys, want %d", len(snap.Values), len(want))
	}
	f := follow(t, c, snap.Version, "/service/batman/")
	f.await("signs of life", func() bool { return f.empty > 5 })
	f.revision(s.Put("/service/batman/leader", "db1"))
	s.Restart()
	if got := f.lost(); got != backends.ReasonConnection {
		t.Errorf("lost for %s, want %s: %v", got, backends.ReasonConnection, f.err)
	}
	s.Compact(s.Put("/a", "1"))
	f = startFollow(t, c, snap.Version, [][]string{{"/"}})
	if got := f.lost(); got != backends.ReasonCompacted {
		t.Errorf("lost for %s, want %s: %v", got, backends.ReasonCompacted, f.err)
	}
	s.Replace("")
	f = startFollow(t, c, snap.Version, [][]string{{"/"}})
	if got := f.lost(); got != backends.ReasonReplaced {
		t.Errorf("lost for %s, want %s: %v", got, backends.ReasonReplaced, f.err)
	}
}

func TestInstalledEtcdWholeRevisions(t *testing.T) {
	s := installed(t)
	const ranges = 50
	var paths []string
	for i := range ranges {
		paths = append(paths, fmt.Sprintf("/service/c%03d/", i))
	}
	write := func(v int) int64 {
		ops := make([]clientv3.Op, ranges)
		for i, p := range paths {
			ops[i] = clientv3.OpPut(p+"leader", fmt.Sprint(v))
		}
		return s.Txn(ops...)
	}
	write(0)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	snap := load(t, c, paths...)
	f := follow(t, c, snap.Version, paths...)
	torn := 0
	for v := range 50 {
		rev := write(v + 1)
		select {
		case <-f.ended:
		case <-f.until(rev):
			continue
		}
		// Where etcd cannot tell that a revision is complete an error is all that
		// can be promised if it was not.
		if got := f.lost(); got != backends.ReasonOther {
			t.Fatalf("lost for %s: %v", got, f.err)
		}
		if torn++; torn > 10 {
			t.Fatalf("every fifth revision is torn: %v", f.err)
		}
		snap = load(t, c, paths...)
		f = follow(t, c, snap.Version, paths...)
	}
	checkWhole(t, snap, f.batches)
}

func TestInstalledEtcdAuth(t *testing.T) {
	ca := etcdtest.NewAuthority(t)
	s := installed(t, etcdtest.WithTLS(ca), etcdtest.WithAuth(), etcdtest.WithTokenTTL(time.Second))
	s.AddUser("batman", "secret", "/service/batman/")
	s.Put("/service/batman/leader", "db1")
	cfg := Config{Nodes: []string{s.Addr()}, ClientCAKeys: ca.CertFile, Username: "batman", Password: "secret"}
	c := newClient(t, cfg)
	snap := load(t, c, "/service/batman")
	if snap.Values["/service/batman/leader"] != "db1" {
		t.Errorf("loaded %v", snap.Values)
	}
	f := follow(t, c, snap.Version, "/service/batman")
	f.revision(s.Put("/service/batman/leader", "db2"))

	// When the token has expired 3.4 calls that a missing permission.
	s.Restart()
	f.lost()
	f = follow(t, c, loadEventually(t, c, "/service/batman").Version, "/service/batman")
	f.revision(s.Put("/service/batman/leader", "db3"))
	s.SetPassword("batman", "secret")
	f = follow(t, c, snap.Version, "/service/batman")
	f.revision(s.Put("/service/batman/leader", "db4"))

	if _, err := c.Load(t.Context(), []string{"/service/"}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load of what the role does not cover: %v", err)
	}
	if err := c.Follow(t.Context(), []string{"/service/"}, snap.Version, nil); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Follow of what the role does not cover: %v", err)
	}
	cfg.Password = "wrong"
	if _, err := newClient(t, cfg).Load(t.Context(), []string{"/service/batman/"}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load with a wrong password: %v", err)
	}
	cfg.Username, cfg.Password = "", ""
	if _, err := newClient(t, cfg).Load(t.Context(), []string{"/service/batman/"}); !errors.Is(err, backends.ErrDenied) {
		t.Errorf("Load without a user: %v", err)
	}
}
