package e2e

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"pc4patroni/internal/proctest"
)

// namespace is where the recorded clusters are.
const namespace = "/service/"

// recording is everything that happens to the keys of the namespace, revision by
// revision, with the moment at which a follower learns of each.
type recording struct {
	client *clientv3.Client
	start  snapshot
	done   chan struct{}

	mu     sync.Mutex // guards what follows
	events []event
	seen   int64 // revision of the last event
	err    error
}

// event is all that one revision changed.
type event struct {
	rev  int64
	at   time.Time
	puts map[string]string
	dels []string
}

// snapshot is all keys of the namespace as of a revision, and how long they stayed so.
// The last one of a recording has no end.
type snapshot struct {
	rev         int64
	from, until time.Time
	keys        map[string]string
}

// record follows the namespace until the test is over.
func record(t *testing.T, client *clientv3.Client) *recording {
	t.Helper()
	got, err := client.Get(t.Context(), namespace, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{client: client, done: make(chan struct{}),
		start: snapshot{rev: got.Header.Revision, from: time.Now(), keys: map[string]string{}}}
	for _, kv := range got.Kvs {
		r.start.keys[string(kv.Key)] = string(kv.Value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	watch := client.Watch(ctx, namespace, clientv3.WithPrefix(), clientv3.WithRev(r.start.rev+1))
	go func() {
		defer close(r.done)
		for answer := range watch {
			r.add(answer)
		}
	}()
	t.Cleanup(func() { cancel(); <-r.done })
	return r
}

func (r *recording) add(answer clientv3.WatchResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := answer.Err(); err != nil {
		r.err = err
		return
	}
	now := time.Now()
	for _, ev := range answer.Events {
		rev := ev.Kv.ModRevision
		if len(r.events) == 0 || r.seen != rev {
			r.events = append(r.events, event{rev: rev, at: now, puts: map[string]string{}})
			r.seen = rev
		}
		last := &r.events[len(r.events)-1]
		if ev.Type == clientv3.EventTypeDelete {
			last.dels = append(last.dels, string(ev.Kv.Key))
		} else {
			last.puts[string(ev.Kv.Key)] = string(ev.Kv.Value)
		}
	}
}

// await waits until the recording has come as far as etcd is now.
func (r *recording) await(t *testing.T) {
	t.Helper()
	// A key of the test's own, since the last revision may be one outside the namespace.
	put, err := r.client.Put(t.Context(), namespace+"recorded", time.Now().String())
	if err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, 10*time.Second, "the recording catches up", func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err == nil && r.seen < put.Header.Revision {
			return context.DeadlineExceeded
		}
		return r.err
	})
}

// snapshots are the states of one scope since a moment, one for each revision that
// changed it; keys are relative to the scope, without a leading slash.
func (r *recording) snapshots(scope string, since time.Time) []snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	prefix := namespace + scope + "/"
	now := snapshot{rev: r.start.rev, from: r.start.from, keys: map[string]string{}}
	for key, value := range r.start.keys {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			now.keys[name] = value
		}
	}
	var all []snapshot
	for _, ev := range r.events {
		next := snapshot{rev: ev.rev, from: ev.at, keys: maps.Clone(now.keys)}
		touched := false
		for key, value := range ev.puts {
			if name, ok := strings.CutPrefix(key, prefix); ok {
				next.keys[name], touched = value, true
			}
		}
		for _, key := range ev.dels {
			if name, ok := strings.CutPrefix(key, prefix); ok {
				delete(next.keys, name)
				touched = true
			}
		}
		if !touched {
			continue
		}
		now.until = ev.at
		if !now.until.Before(since) {
			all = append(all, now)
		}
		now = next
	}
	return append(all, now)
}
