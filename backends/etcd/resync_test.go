package etcd

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

// TestResyncIsNeverBehind reads everything without a pause while keys change.
// Whoever applies the updates must see each key move forward only.
func TestResyncIsNeverBehind(t *testing.T) {
	s := etcdtest.Start(t)
	putMany(t, s, batman+"many/", 3000) // several pages
	s.Put(batman+"counter", "0000")
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	w := startWatch(t, c, time.Millisecond, from("", batman, batman+"counter")...)
	w.ready()
	last := ""
	for i := range 300 {
		last = fmt.Sprintf("%04d", i+1)
		s.Put(batman+"counter", last)
	}
	w.value(batman, batman+"counter", last)
	w.value(batman+"counter", batman+"counter", last)
	w.await("a resync", func() bool { return w.resyncs[backends.ResyncInterval] > 4 })
	w.cancel()
	w.wait()
	for _, path := range []string{batman, batman + "counter"} {
		seen := ""
		for _, call := range w.calls {
			for _, u := range call {
				if u.Path != path {
					continue
				}
				if value, ok := u.Keys[batman+"counter"]; ok {
					if value < seen {
						t.Fatalf("%s: a full state has %s after %s", path, value, seen)
					}
					seen = value
				}
				for _, ch := range u.Changes {
					if ch.Value < seen {
						t.Fatalf("%s: a change to %s comes after %s", path, ch.Value, seen)
					}
					seen = ch.Value
				}
			}
		}
	}
	if n := len(w.keys[batman]); n != 3001 {
		t.Errorf("%d keys, want 3001", n)
	}
}

func TestOverlay(t *testing.T) {
	event := func(rev int64, key, value string) *mvccpb.Event {
		ev := &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), ModRevision: rev}}
		if value == "" {
			ev.Type = mvccpb.Event_DELETE
		}
		return ev
	}
	for _, tt := range []struct {
		name     string
		recent   []*mvccpb.Event
		want     map[string]string
		revision int64
	}{
		{"nothing", nil, map[string]string{"/a": "1", "/b": "1"}, 10},
		{"known to the read", []*mvccpb.Event{event(9, "/a", "0"), event(10, "/b", "")}, map[string]string{"/a": "1", "/b": "1"}, 10},
		{"newer", []*mvccpb.Event{event(10, "/a", "0"), event(11, "/a", "2"), event(12, "/b", ""), event(13, "/c", "3")}, map[string]string{"/a": "2", "/c": "3"}, 13},
	} {
		keys := map[string]string{"/a": "1", "/b": "1"}
		revision := overlay(keys, 10, tt.recent)
		if diff := cmp.Diff(tt.want, keys); diff != "" || revision != tt.revision {
			t.Errorf("%s: revision %d, want %d; -want +got:\n%s", tt.name, revision, tt.revision, diff)
		}
	}
}

// TestHeartbeatsCostNoRead: what is watched is not read.
func TestHeartbeatsCostNoRead(t *testing.T) {
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}})
	w := startWatch(t, c, time.Hour, from("", batman)...)
	w.ready()
	for i := range 100 {
		s.Put(batman+"status", fmt.Sprint(i))
	}
	w.value(batman, batman+"status", "99")
	if len(w.resyncs) != 1 || len(w.changes) != 100 {
		t.Errorf("%d changes, full states %v, want 100 changes and the first state", len(w.changes), w.resyncs)
	}
}
