package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// Waits between attempts after a failed reload, check or rendering.
const (
	firstRetry = 500 * time.Millisecond
	maxRetry   = 30 * time.Second
)

// backoff spaces out attempts: each wait is twice the one before, up to a
// max. The zero value is ready; it belongs to one goroutine.
type backoff struct{ tries int }

// next returns how long to wait before the next attempt: about as long as the
// backoff says, moved by up to a fifth.
func (b *backoff) next(first, max time.Duration) time.Duration {
	wait := b.step(first, max)
	return wait - wait/5 + rand.N(2*wait/5+1)
}

// spread is next with full jitter: anything up to what the backoff says, so
// that a fleet of hosts does not come back all at once.
func (b *backoff) spread(first, max time.Duration) time.Duration {
	return rand.N(b.step(first, max) + 1)
}

func (b *backoff) step(first, max time.Duration) time.Duration {
	wait := max
	if b.tries < 20 {
		wait = min(first<<b.tries, max)
	}
	b.tries++
	return wait
}

func (b *backoff) reset() { b.tries = 0 }

// sleep waits for d and tells whether ctx was not done before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// earliest returns the first of the times that are not zero, or zero.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
