package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"pc4patroni/backends"
)

// Full reads run beside the watch, which goes on delivering. A read at one
// revision may be a stale read: older than events that were delivered meanwhile.
// So the events of a range are kept from the start of its read, and those that are
// newer than the read are applied to its result.

// resyncRanges is how many ranges one read covers: few enough that its result is
// handled in a moment, between two events.
const resyncRanges = 64

// resync queues a full read of the next ranges in turn, including those that were
// denied.
func (w *watch) resync() {
	for range min(resyncRanges, len(w.watchers)) {
		wr := w.watchers[w.nextFull]
		w.nextFull = (w.nextFull + 1) % len(w.watchers)
		wr.full = true
		w.enqueue(wr)
	}
}

// untilResync is the time between two calls of resync, with which each range is
// read once in interval: many ranges not in the same moment, which a change would
// have to wait for. It is up to a tenth shorter, at random, so that hosts that start
// together do not read together.
func (w *watch) untilResync(interval time.Duration) time.Duration {
	if interval <= 0 {
		return 1<<63 - 1
	}
	if n := len(w.watchers); n > resyncRanges {
		interval = interval / time.Duration(n) * resyncRanges
	}
	return interval - rand.N(interval/10+1)
}

func (w *watch) enqueue(wr *watcher) {
	if !wr.queued && !wr.reading {
		wr.queued = true
		w.queue = append(w.queue, wr)
	}
}

// startRead starts the next read, unless one is under way.
func (w *watch) startRead(ctx context.Context) {
	if w.reading || len(w.queue) == 0 {
		return
	}
	batch := w.queue[:min(len(w.queue), resyncRanges)]
	w.queue = w.queue[len(batch):]
	w.reading = true
	var paths []string
	for _, wr := range batch {
		wr.queued, wr.reading = false, true
		paths = append(paths, wr.path)
	}
	floor := w.reached
	w.background(ctx, func() func() error {
		snap, err := w.c.read(ctx, paths)
		return func() error {
			w.reading = false
			if err != nil {
				return err
			}
			return w.finishRead(batch, floor, snap)
		}
	})
}

// finishRead delivers the result of a read. The store had reached the revision
// floor before it.
func (w *watch) finishRead(batch []*watcher, floor int64, snap *snapshot) error {
	if snap.revision > 0 {
		if !sameCluster(snap.cluster, w.cluster) || snap.revision < floor {
			return w.replaced(snap.cluster, snap.revision, floor)
		}
		w.reached = max(w.reached, snap.revision)
		if w.cluster == 0 {
			w.cluster = snap.cluster
		}
	}
	var updates []backends.Update
	var refused *watcher
	for _, wr := range batch {
		if wr.refused && !snap.denied[wr.path] {
			refused = wr
		}
		if snap.denied[wr.path] {
			updates = append(updates, w.deny(wr))
		} else {
			updates = append(updates, w.state(wr, snap)...)
		}
		wr.full, wr.reading, wr.refused, wr.recent = false, false, false, nil
	}
	if err := w.deliver(updates); err != nil || refused == nil {
		return err
	}
	if w.renewed {
		return fmt.Errorf("watch %q in etcd: it may be read but not watched", refused.path)
	}
	w.renewed = true
	return errStaleToken
}

// state makes the update with the full state of a path, if the caller wants it, and
// starts the watcher if it waited for that.
func (w *watch) state(wr *watcher, snap *snapshot) []backends.Update {
	keys := snap.keys[wr.path]
	revision := overlay(keys, snap.revision, wr.recent)
	wr.denied = false
	if wr.next == 0 {
		wr.next = snap.revision + 1
		w.create(wr)
	}
	if wr.revision > 0 && !wr.full {
		return nil
	}
	reason := wr.resync
	if wr.revision > 0 {
		reason = backends.ResyncInterval
	}
	wr.revision, wr.resync = max(wr.revision, revision), ""
	return []backends.Update{{Path: wr.path, Version: makeVersion(w.cluster, revision), Keys: keys, Resync: reason}}
}

// overlay applies to keys, as they were at revision, the events that are
// newer. It returns the revision of the result.
func overlay(keys map[string]string, revision int64, recent []*mvccpb.Event) int64 {
	for _, ev := range recent {
		if ev.Kv.ModRevision <= revision {
			continue
		}
		if ch := change(ev); ch.Deleted {
			delete(keys, ch.Key)
		} else {
			keys[ch.Key] = ch.Value
		}
	}
	if len(recent) > 0 {
		revision = max(revision, recent[len(recent)-1].Kv.ModRevision)
	}
	return revision
}
