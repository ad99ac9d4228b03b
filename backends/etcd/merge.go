package etcd

import (
	"cmp"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"pc4patroni/backends"
)

// merger puts the events of several watchers together again.
//
// etcd sends the events of one revision apart for each watcher that they
// concern. Usually these messages follow each other, in the order of the revisions;
// but a watcher that has to catch up lags behind the others, and nothing in a
// message tells whether another one of the same revision is to come. So the
// changes of a group of ranges that the caller wants to see at one revision
// are kept until it is known that all of its watchers have passed that revision. A
// group with one watcher has nothing to wait for: its messages hold whole
// revisions in order.
//
// A merger is a value for one goroutine.
type merger struct {
	group    []int // of each range
	watchers map[int]int
	pending  map[int][]event // by group; empty groups are absent
	released map[int]int64   // by group: the last revision that was handed over
}

// event is one change and its revision.
type event struct {
	revision int64
	change   backends.Change
}

func newMerger(group []int) *merger {
	m := &merger{group: group, watchers: map[int]int{}, pending: map[int][]event{}, released: map[int]int64{}}
	for _, g := range group {
		m.watchers[g]++
	}
	return m
}

// without takes out the watcher of a range that may not be watched.
func (m *merger) without(r int) { m.watchers[m.group[r]]-- }

// mayWait tells whether there is a group whose changes have to be kept.
func (m *merger) mayWait() bool {
	for _, n := range m.watchers {
		if n > 1 {
			return true
		}
	}
	return false
}

// add takes the events of one message for range r. It returns them as a batch
// if there is nothing to wait for.
func (m *merger) add(r int, events []*mvccpb.Event) (backends.Batch, bool) {
	g := m.group[r]
	if m.watchers[g] > 1 {
		for _, e := range events {
			m.pending[g] = append(m.pending[g], event{e.Kv.ModRevision, change(e)})
		}
		return backends.Batch{}, false
	}
	b := backends.Batch{Changes: make([]backends.Change, len(events))}
	for i, e := range events {
		b.Changes[i] = change(e)
		b.Revision = e.Kv.ModRevision
	}
	m.released[g] = b.Revision
	return b, true
}

// handedOver returns the last revision that was handed over of the group of
// range r: nothing up to it may come any more.
func (m *merger) handedOver(r int) int64 { return m.released[m.group[r]] }

// waiting tells whether changes are kept.
func (m *merger) waiting() bool { return len(m.pending) > 0 }

// release returns what was kept, in the order of the revisions. It is for the
// moment when every watcher is known to have passed the last of them.
func (m *merger) release() backends.Batch {
	var all []event
	for g, events := range m.pending {
		all = append(all, events...)
		for _, e := range events {
			m.released[g] = max(m.released[g], e.revision)
		}
	}
	clear(m.pending)
	// Within a revision no key changes twice, so their order does not matter
	// there; stable keeps each watcher's own order all the same.
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.revision, b.revision) })
	b := backends.Batch{Changes: make([]backends.Change, len(all))}
	for i, e := range all {
		b.Changes[i] = e.change
		b.Revision = e.revision
	}
	return b
}

func change(e *mvccpb.Event) backends.Change {
	if e.Type == mvccpb.Event_DELETE {
		return backends.Change{Key: string(e.Kv.Key), Deleted: true}
	}
	return backends.Change{Key: string(e.Kv.Key), Value: string(e.Kv.Value)}
}
