package engine

import (
	"math"
	"sync/atomic"
	"time"
)

// liveness tells others whether a loop is still running. The loop beats at each
// turn, and announces beforehand when it will be busy with something bounded.
type liveness struct {
	last  atomic.Int64 // when it beat last, nanoseconds since 1970
	until atomic.Int64 // until when it said it may be busy
}

func (l *liveness) beat() {
	l.last.Store(time.Now().UnixNano())
	l.until.Store(0)
}

// busy announces something that may take up to d.
func (l *liveness) busy(d time.Duration) {
	l.until.Store(time.Now().Add(d + killGrace + time.Second).UnixNano())
}

// wait announces a wait for others, which are watched themselves.
func (l *liveness) wait() { l.until.Store(math.MaxInt64) }

// alive tells whether the loop has beaten since the given time, or is still
// within the time that it announced.
func (l *liveness) alive(since, now time.Time) bool {
	return l.last.Load() >= since.UnixNano() || l.until.Load() > now.UnixNano()
}
