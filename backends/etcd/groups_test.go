package etcd

import (
	"fmt"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// TestFollowWholeRevisions writes to many ranges in each revision. etcd sends
// that in as many messages; nobody may see a part of a revision.
func TestFollowWholeRevisions(t *testing.T) {
	const ranges, rounds = 100, 200
	s := etcdtest.Start(t)
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
	// The watchers start behind, and catch up one by one.
	write(1)
	write(2)
	f := startFollow(t, c, snap.Version, [][]string{paths})
	var last int64
	var writer sync.WaitGroup
	writer.Go(func() {
		for v := 3; v < rounds; v++ {
			last = write(v)
		}
	})
	writer.Wait()
	f.revision(last)
	checkWhole(t, snap, f.batches)
	if got := f.batches[len(f.batches)-1].Revision; got != last {
		t.Errorf("the last batch is of revision %d, want %d", got, last)
	}
}

// checkWhole applies batches to a snapshot in which all values are the same,
// as they were after each revision.
func checkWhole(t *testing.T, snap backends.Snapshot, batches []backends.Batch) {
	t.Helper()
	revision := snap.Version.Revision
	for _, b := range batches {
		if b.Revision <= revision {
			t.Fatalf("revision %d comes after %d", b.Revision, revision)
		}
		revision = b.Revision
		for _, ch := range b.Changes {
			if ch.Deleted {
				delete(snap.Values, ch.Key)
			} else {
				snap.Values[ch.Key] = ch.Value
			}
		}
		var first string
		for _, first = range snap.Values {
			break
		}
		for key, v := range snap.Values {
			if v != first {
				t.Fatalf("at revision %d, %s = %q while others are %q", revision, key, v, first)
			}
		}
	}
}

// TestFollow1000Ranges deletes a key of each at once: more messages than etcd
// keeps for a stream, so some watchers fall behind others.
func TestFollow1000Ranges(t *testing.T) {
	s := etcdtest.Start(t)
	var paths []string
	for i := range 1000 {
		p := fmt.Sprintf("/service/c%04d/", i)
		paths = append(paths, p)
	}
	for len(paths)%100 != 0 {
		t.Fatal("write in hundreds")
	}
	for i := 0; i < len(paths); i += 100 {
		ops := make([]clientv3.Op, 100)
		for j := range ops {
			ops[j] = clientv3.OpPut(paths[i+j]+"leader", "x")
		}
		s.Txn(ops...)
	}
	p := etcdtest.NewProxy(t, s.Addr())
	c := newClient(t, Config{Nodes: []string{p.Addr()}})
	snap := load(t, c, paths...)
	f := follow(t, c, snap.Version, paths...)
	for range 3 {
		last := s.Txn(clientv3.OpDelete("/service/", clientv3.WithPrefix()))
		f.revision(last)
		if b := f.batches[len(f.batches)-1]; len(b.Changes) != len(paths) {
			t.Fatalf("the batch has %d changes, want all %d of one revision", len(b.Changes), len(paths))
		}
		for i := 0; i < len(paths); i += 100 {
			ops := make([]clientv3.Op, 100)
			for j := range ops {
				ops[j] = clientv3.OpPut(paths[i+j]+"leader", "x")
			}
			last = s.Txn(ops...)
		}
		f.revision(last)
	}
	if n := p.Accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestFollowGroups: each group sees whole revisions, and the one of a single
// range does not wait for anybody.
func TestFollowGroups(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	groups := [][]string{
		{"/service/batman/"},
		{"/service/robin/leader", "/service/robin/members/"},
		{"/service/robin/members/", "/service/joker/"},
	}
	f := followGroups(t, c, load(t, c, "/").Version, groups)
	rev := s.Txn(
		clientv3.OpPut("/service/batman/leader", "1"),
		clientv3.OpPut("/service/robin/leader", "1"),
		clientv3.OpPut("/service/robin/members/db1", "1"),
		clientv3.OpPut("/service/joker/leader", "1"),
	)
	f.await("both batches", func() bool { return len(f.batches) == 2 })
	for i, want := range []int{1, 3} {
		if b := f.batches[i]; b.Revision != rev || len(b.Changes) != want {
			t.Errorf("batch %d is %+v, want %d changes of revision %d", i, b, want, rev)
		}
	}
}
