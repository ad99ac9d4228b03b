package engine

import (
	"log/slog"
	"sync"
	"time"
)

// A queue tells units of the changes of their resources: of a change of the
// leader, and nearly any other one, at once. What only moves positions in the
// write-ahead log waits for up to a second. A deleted key waits a moment for the
// next one to go: a cluster that is removed key by key must not be installed
// with half of its members.
//
// It may be used by several goroutines.
type queue struct {
	log *slog.Logger

	mu      sync.Mutex
	waiting map[*resourceState]debounce
	timer   *time.Timer
	next    time.Time // when the timer fires, or zero
	closed  bool
}

// slack is how much earlier than need be a resource may have its turn, so that
// one timer serves many.
const slack = 20 * time.Millisecond

func newQueue(log *slog.Logger) *queue {
	return &queue{log: log, waiting: map[*resourceState]debounce{}}
}

// put takes changes that arrived at once, none of which is nothing. A zero time
// of arrival is that of urgent changes whose latency does not count.
func (q *queue) put(changes map[*resourceState]urgency, arrived time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ready []*resourceState
	for r, u := range changes {
		d := q.waiting[r]
		if d.add(u, arrived) {
			q.waiting[r] = d
			q.wakeAt(d.due)
		} else {
			delete(q.waiting, r)
			ready = append(ready, r)
		}
	}
	q.dispatch(ready, arrived)
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
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.next = time.Time{}
	var next time.Time
	var ready []*resourceState
	for r, d := range q.waiting {
		if d.due.After(now.Add(slack)) {
			next = earliest(next, d.due)
		} else {
			delete(q.waiting, r)
			ready = append(ready, r)
		}
	}
	if !next.IsZero() {
		q.wakeAt(next)
	}
	q.dispatch(ready, time.Time{})
}

// dispatch gives each resource to its unit, together with those of the unit that
// would have to be rendered soon anyway, so that one reload serves all. Where
// several units are concerned they keep an order, except for units that are busy
// with a slow command. The caller holds the lock, so that every unit sees the
// orders in the same sequence.
func (q *queue) dispatch(resources []*resourceState, arrived time.Time) {
	units := map[*unit]bool{}
	for _, r := range resources {
		units[r.unit] = true
	}
	for r, d := range q.waiting {
		if units[r.unit] && d.goneSince.IsZero() {
			delete(q.waiting, r)
			resources = append(resources, r)
		}
	}
	var ordered []*resourceState
	several, now := false, time.Now()
	for _, r := range resources {
		if !r.unit.isOccupied(now) {
			ordered = append(ordered, r)
			several = several || r.unit != ordered[0].unit
		}
	}
	var places map[*resourceState]*place
	if several {
		places = newOrder(q.log, ordered)
	}
	for _, r := range resources {
		r.unit.give(r, places[r], arrived)
	}
	for u := range units {
		u.wakeUp()
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
