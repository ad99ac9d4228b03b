package resource

import (
	"math/rand/v2"
	"time"
)

// backoff spaces out attempts: each wait is twice the one before, up to a
// cap, and moved by up to a fifth so that many hosts do not try in step. The
// zero value is ready; it belongs to one goroutine.
type backoff struct{ tries int }

// next returns how long to wait before the next attempt.
func (b *backoff) next(first, most time.Duration) time.Duration {
	wait := most
	if b.tries < 20 {
		wait = min(first<<b.tries, most)
	}
	b.tries++
	return wait - wait/5 + rand.N(2*wait/5+1)
}

func (b *backoff) reset() { b.tries = 0 }
