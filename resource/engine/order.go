package engine

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// patience is how long one resource may hold back those that come after it.
	patience = time.Second
	// stagedAhead is how many resources may be rendered and staged before it is
	// their turn: the disk should not be what they wait for then. Each holds a
	// descriptor, a grown stack, and a thread that waits for the disk meanwhile.
	stagedAhead = 32
)

// An order has the files that one change concerns put in place one after the
// other, and every reload after the last of them: files may need each other,
// such as a main file and those that it includes. First come the resources
// without commands, then the others, by file name.
//
// Each resource has a place in it. One whose turn takes longer than patience
// loses it, and the others go on. An order may be used by several goroutines.
type order struct {
	log *slog.Logger
	all chan struct{} // closed when every place is done

	mu       sync.Mutex
	places   []*place
	head     int           // the first place that is not done
	patience time.Duration // how long the head may take; halved at each loss
	deadline time.Time     // when the head loses its turn
	timer    *time.Timer
}

// place is the place of one resource in an order. The nil place waits for
// nobody.
type place struct {
	order    *order
	resource *resourceState
	index    int
	turn     chan struct{} // closed when all places before this one are done
	done     bool
	before   *place // of the resource in an order before, which it has not come to yet, or nil
}

// newOrder gives each resource a place.
func newOrder(log *slog.Logger, resources []*resourceState) map[*resourceState]*place {
	o := &order{log: log, all: make(chan struct{}), patience: patience}
	places := make(map[*resourceState]*place, len(resources))
	for _, r := range resources {
		p := &place{order: o, resource: r, turn: make(chan struct{})}
		places[r] = p
		o.places = append(o.places, p)
	}
	slices.SortFunc(o.places, func(a, b *place) int {
		if hasA, hasB := a.resource.hasCommands(), b.resource.hasCommands(); hasA != hasB {
			if hasA {
				return 1
			}
			return -1
		}
		return strings.Compare(a.resource.File, b.resource.File)
	})
	for i, p := range o.places {
		p.index = i
	}
	close(o.places[0].turn)
	o.mu.Lock() // the timer may fire before it is known
	defer o.mu.Unlock()
	o.deadline = time.Now().Add(o.patience)
	o.timer = time.AfterFunc(o.patience, o.skip)
	return places
}

// nearing returns what is closed when the turn of the place is near.
func (p *place) nearing() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.order.places[max(0, p.index-stagedAhead)].turn
}

// turning returns what is closed when it is the turn of the place.
func (p *place) turning() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.turn
}

// finish says that the resource is through with the change, and with those before.
func (p *place) finish() {
	for ; p != nil; p = p.before {
		p.order.finish(p)
	}
}

func (o *order) finish(p *place) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p.done = true
	if o.head < len(o.places) && o.places[o.head].done {
		o.advance()
	}
}

// advance moves the head to the next place that is not done.
func (o *order) advance() {
	for o.head < len(o.places) && o.places[o.head].done {
		if o.head++; o.head < len(o.places) {
			close(o.places[o.head].turn) // one that was skipped may still wait for it
		}
	}
	if o.head == len(o.places) {
		o.timer.Stop()
		close(o.all)
		return
	}
	o.deadline = time.Now().Add(o.patience)
	o.timer.Reset(o.patience)
}

// skip goes on without the resource whose turn it is, and without the others of
// its unit. Many slow ones do not add up: each has half as long as the one before.
func (o *order) skip() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.head == len(o.places) || time.Now().Before(o.deadline) {
		return // the head has finished while the timer fired
	}
	o.patience /= 2
	slow := o.places[o.head]
	for _, p := range o.places[o.head:] {
		p.done = p.done || p.resource.unit == slow.resource.unit
	}
	slow.resource.unit.occupied.Store(&time.Time{}) // long ago
	if o.head+1 < len(o.places) {
		o.log.Warn("resource is slow, the others go on without it", "resource", slow.resource.Name, "dest", slow.resource.Dest)
	}
	o.advance()
}
