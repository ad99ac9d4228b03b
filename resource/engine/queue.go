package engine

import (
	"log/slog"
	"sync"
	"time"
)

// A queue decides when changes are acted upon, and tells units of them. A
// change of the leader, and nearly any other one, is acted upon at once. What
// only moves positions in the write-ahead log waits for up to a second. A
// deleted key waits a moment for the next one to go: a cluster that is removed
// key by key must not be installed with half of its members.
//
// It may be used by several goroutines.
type queue struct {
	log *slog.Logger

	mu      sync.Mutex
	waiting map[*resourceState]due
	timer   *time.Timer
	next    time.Time // when the timer fires, or zero
	closed  bool
}

// due is when a resource that waits has its turn.
type due struct {
	relaxedAt time.Time // or zero
	settleAt  time.Time // or zero
	goneSince time.Time // when the first key went
}

func (d due) at() time.Time {
	if !d.settleAt.IsZero() {
		return d.settleAt
	}
	return d.relaxedAt
}

// slack is how much earlier than need be a resource may have its turn, so that
// one timer serves many.
const slack = 20 * time.Millisecond

// How long changes may wait.
const (
	relaxedDelay  = time.Second
	settlingDelay = 200 * time.Millisecond
	settlingMax   = time.Second
)

// change is a resource whose keys have changed, by more than nothing.
type change struct {
	resource *resourceState
	urgency  urgency
}

func newQueue(log *slog.Logger) *queue {
	return &queue{log: log, waiting: map[*resourceState]due{}}
}

// put takes changes that arrived at once.
func (q *queue) put(changes []change, now time.Time) {
	var ready []*resourceState
	q.mu.Lock()
	for _, c := range changes {
		d := q.waiting[c.resource]
		switch {
		case c.urgency == urgent, c.urgency == headless && d.settleAt.IsZero():
			ready = append(ready, c.resource)
			continue
		case c.urgency == relaxed:
			d.relaxedAt = earliest(d.relaxedAt, now.Add(relaxedDelay))
		default:
			d.goneSince = earliest(d.goneSince, now)
			d.settleAt = earliest(now.Add(settlingDelay), d.goneSince.Add(settlingMax))
		}
		q.waiting[c.resource] = d
		q.wakeAt(d.at())
	}
	ready = q.gather(ready)
	q.mu.Unlock()
	q.dispatch(ready, now)
}

// gather drops what is in ready twice, and takes along what the units of the
// others would have to render soon anyway, so that one reload serves all.
func (q *queue) gather(ready []*resourceState) []*resourceState {
	var all []*resourceState
	seen := map[*resourceState]bool{}
	add := func(r *resourceState) {
		if !seen[r] {
			seen[r] = true
			all = append(all, r)
			delete(q.waiting, r)
		}
	}
	for _, r := range ready {
		add(r)
	}
	if len(q.waiting) == 0 {
		return all
	}
	for _, r := range ready {
		if len(r.unit.resources) == 1 {
			continue
		}
		for _, other := range r.unit.resources {
			if d, ok := q.waiting[other]; ok && d.settleAt.IsZero() {
				add(other)
			}
		}
	}
	return all
}

// wakeAt has the timer fire at the given time, if it does not before.
func (q *queue) wakeAt(at time.Time) {
	if q.closed || !q.next.IsZero() && !at.Before(q.next) {
		return
	}
	q.next = at
	if q.timer == nil {
		q.timer = time.AfterFunc(time.Until(at), q.fire)
	} else {
		q.timer.Reset(time.Until(at))
	}
}

// fire dispatches what is due.
func (q *queue) fire() {
	now := time.Now()
	var ready []*resourceState
	q.mu.Lock()
	q.next = time.Time{}
	var next time.Time
	for r, d := range q.waiting {
		if d.at().After(now.Add(slack)) {
			next = earliest(next, d.at())
		} else {
			ready = append(ready, r)
		}
	}
	if !next.IsZero() {
		q.wakeAt(next)
	}
	ready = q.gather(ready)
	q.mu.Unlock()
	q.dispatch(ready, time.Time{})
}

// dispatch gives each resource to its unit. Where several units are concerned
// they keep an order; one that is busy with a command that takes long is left
// out of it. arrived is when the changes came that a proxy has to be told
// of without delay, or zero.
func (q *queue) dispatch(resources []*resourceState, arrived time.Time) {
	var places map[*resourceState]*place
	var ordered []*resourceState
	several, now := false, time.Now()
	for _, r := range resources {
		if !r.unit.isOccupied(now) {
			ordered = append(ordered, r)
			several = several || r.unit != ordered[0].unit
		}
	}
	if several {
		places = newOrder(q.log, ordered)
	}
	for _, r := range resources {
		r.unit.give(r, places[r], arrived)
	}
	for i, r := range resources {
		if i == 0 || r.unit != resources[i-1].unit {
			r.unit.wakeUp()
		}
	}
}

// close ends the queue.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.timer != nil {
		q.timer.Stop()
	}
}
