package resource

import (
	"sync/atomic"
	"time"
)

// A pulse shows from outside whether a loop still turns. The loop beats at
// each turn, and says beforehand when it will be busy with something bounded.
type pulse struct {
	last  atomic.Int64 // when it beat last, nanoseconds since 1970
	until atomic.Int64 // until when it said it may be busy
}

func (p *pulse) beat() {
	p.until.Store(0)
	p.last.Store(time.Now().UnixNano())
}

// busy announces something that may take up to d.
func (p *pulse) busy(d time.Duration) {
	p.until.Store(time.Now().Add(d + killGrace + time.Second).UnixNano())
}

// alive tells whether the loop has beaten since the given time, or is busy
// within what it announced.
func (p *pulse) alive(since, now time.Time) bool {
	return p.last.Load() >= since.UnixNano() || p.until.Load() > now.UnixNano()
}
