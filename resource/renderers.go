package resource

import (
	"runtime"
	"sync"
)

// renderers lends goroutines to units for rendering. A template runs deep in
// the stack, and the garbage collector takes the room back from each goroutine
// that waits: a thousand units that render now and then would grow a thousand
// stacks again and again. A few goroutines that are handed around keep theirs.
//
// It may be used by several goroutines. There is always one to be had, so that
// a template that waits for DNS keeps nobody else waiting; only idle ones are
// bounded in number.
type renderers struct {
	mu      sync.Mutex
	idle    []*renderer
	resting bool
	wg      sync.WaitGroup
}

// renderer is one goroutine and what it is to do next.
type renderer struct{ jobs chan func() }

// do runs job on one of the goroutines and returns when it is done.
func (rs *renderers) do(job func()) {
	done := make(chan struct{})
	rs.borrow().jobs <- func() {
		defer close(done)
		job()
	}
	<-done
}

func (rs *renderers) borrow() *renderer {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if n := len(rs.idle); n > 0 {
		r := rs.idle[n-1]
		rs.idle = rs.idle[:n-1]
		return r
	}
	r := &renderer{jobs: make(chan func(), 1)}
	rs.wg.Go(func() {
		for job := range r.jobs {
			job()
			if !rs.giveBack(r) {
				return
			}
		}
	})
	return r
}

// giveBack tells whether r is to wait for another job.
func (rs *renderers) giveBack(r *renderer) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.resting || len(rs.idle) >= runtime.GOMAXPROCS(0) {
		return false
	}
	rs.idle = append(rs.idle, r)
	return true
}

// rest ends the idle goroutines and waits for all of them. Nothing may be
// rendered meanwhile; afterwards it may.
func (rs *renderers) rest() {
	rs.mu.Lock()
	rs.resting = true
	for _, r := range rs.idle {
		close(r.jobs)
	}
	rs.idle = nil
	rs.mu.Unlock()
	rs.wg.Wait()
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.resting = false
}
