package engine

import (
	"sync"
	"time"
)

// liveness tells others whether a loop is still running. The loop beats at each
// turn, and announces beforehand when it will be busy with something bounded.
type liveness struct {
	mu    sync.Mutex
	last  time.Time // when it beat last
	until time.Time // until when it said it may be busy
}

func (l *liveness) beat() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.until = time.Now(), time.Time{}
}

// busy announces something that may take up to d.
func (l *liveness) busy(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(d + killGrace + time.Second)
}

// wait announces a wait for others, which are watched themselves.
func (l *liveness) wait() { l.busy(100 * 365 * 24 * time.Hour) }

// alive tells whether the loop has beaten since the given time, or is still
// within the time that it announced.
func (l *liveness) alive(since, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.last.Before(since) || l.until.After(now)
}
