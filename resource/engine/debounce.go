package engine

import "time"

// urgency says how long a change may wait for others.
type urgency int

const (
	nothing  urgency = iota // there is nothing to do
	relaxed                 // it only moves positions in the write-ahead log
	settling                // a key is gone, perhaps the first of many
	headless                // the leader's key is gone
	urgent
)

// How long changes may wait.
const (
	relaxedDelay  = time.Second
	settlingDelay = 200 * time.Millisecond // after the last key that went
	settlingMax   = time.Second            // after the first one
)

// debounce is how long a resource that waits for further changes has waited and
// will wait. The zero value has nothing to wait for.
type debounce struct {
	due       time.Time
	goneSince time.Time // when the first key went, or zero
}

// add takes another change and tells whether the resource has to wait. The
// deletion of the leader's key is urgent, unless a whole cluster is going.
func (d *debounce) add(u urgency, now time.Time) (wait bool) {
	settles := !d.goneSince.IsZero()
	switch {
	case u == urgent, u == headless && !settles:
		return false
	case u == relaxed:
		if d.due.IsZero() {
			d.due = now.Add(relaxedDelay)
		}
	default:
		if !settles {
			d.goneSince = now
		}
		d.due = earliest(now.Add(settlingDelay), d.goneSince.Add(settlingMax))
	}
	return true
}
