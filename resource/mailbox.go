package resource

import (
	"maps"
	"sync"
	"time"

	"pc4patroni/backends"
)

// compactAt is the number of collected changes at which those that a later
// one of the same key made moot are dropped.
const compactAt = 1024

// A mailbox collects the changes of a unit's keys while the unit is busy. A
// backend's feed puts them in and the unit takes them out; neither waits for
// the other, and what is held is bounded by the number of keys.
type mailbox struct {
	wake chan struct{} // holds one token while there is something to take

	mu     sync.Mutex
	deltas map[*tracked]*delta
}

// delta is what came for one resource since the unit last looked.
type delta struct {
	// full says that the changes start from nothing: they are all there is.
	full    bool
	changes []backends.Change
	// denied says why there are none: the backend does not let us read them.
	denied error
	// at is when the first of them came.
	at time.Time
}

func newMailbox() *mailbox {
	return &mailbox{wake: make(chan struct{}, 1), deltas: map[*tracked]*delta{}}
}

// put adds one delta for each resource, at once: the unit sees all or none.
func (m *mailbox) put(deltas map[*tracked]*delta) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for r, d := range deltas {
		have := m.deltas[r]
		if have == nil || d.full || d.denied != nil {
			if have != nil {
				d.at = have.at
			}
			m.deltas[r] = d
			continue
		}
		have.changes = append(have.changes, d.changes...)
		if len(have.changes) >= compactAt {
			have.compact()
		}
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take returns what has come, and forgets it.
func (m *mailbox) take() map[*tracked]*delta {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.deltas) == 0 {
		return nil
	}
	deltas := m.deltas
	m.deltas = map[*tracked]*delta{}
	return deltas
}

// compact keeps the last change of each key. The order among keys is of no
// importance then.
func (d *delta) compact() {
	last := make(map[string]backends.Change, len(d.changes))
	for _, c := range d.changes {
		last[c.Key] = c
	}
	if d.full {
		// Nothing was there before, so there is nothing to delete.
		maps.DeleteFunc(last, func(_ string, c backends.Change) bool { return c.Deleted })
	}
	d.changes = d.changes[:0]
	for _, c := range last {
		d.changes = append(d.changes, c)
	}
}
