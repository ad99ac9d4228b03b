package etcd

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const (
	// proofRetry is when etcd is asked again to confirm that nothing is missing.
	// It does not answer while a watcher is behind.
	proofRetry = 50 * time.Millisecond
	// proofLimit is how long changes are kept for want of an answer.
	proofLimit = time.Second
	// quietTime is how long nothing more must have come where etcd's answers
	// are worthless.
	quietTime = 5 * time.Millisecond
)

// proof is the state of the question whether all pieces of the revisions that
// a merger keeps have arrived.
//
// The answer to a progress request proves it, because etcd gives it only when
// no watcher of the stream is behind, and sends it after all that it sent to any of
// them. Before 3.4.25 and 3.5.8 it is given at once and may overtake changes
// (etcd issue 15220). Such a server shows itself by answering even before the
// stream has a watcher.
type proof struct {
	worthless bool // etcd's answers prove nothing
	answered  bool // there has been one
	since     time.Time
	clock     *time.Timer // nil unless changes are kept
}

// wanted is called for changes that have to be kept. It tells whether etcd
// must be asked.
func (p *proof) wanted(now time.Time) bool {
	if p.worthless {
		if p.clock == nil {
			p.since = now
			p.clock = time.NewTimer(quietTime)
		} else if now.Sub(p.since) < proofLimit {
			p.clock.Reset(quietTime)
		}
		return false
	}
	if p.clock != nil {
		// The answer that is on its way comes after what has arrived just now.
		return false
	}
	p.since = now
	p.clock = time.NewTimer(proofRetry)
	return true
}

// timer fires when changes have been kept for long enough to call giveUp.
func (p *proof) timer() <-chan time.Time {
	if p.clock == nil {
		return nil
	}
	return p.clock.C
}

// giveUp tells whether to hand over without a proof. If not, etcd must be asked
// again.
func (p *proof) giveUp(now time.Time) bool {
	if p.worthless {
		return true
	}
	if now.Sub(p.since) >= proofLimit {
		// A server that never answers, like 3.3, must not cost a second each time.
		p.worthless = !p.answered
		return true
	}
	p.clock.Reset(proofRetry)
	return false
}

func (p *proof) stop() {
	if p.clock != nil {
		p.clock.Stop()
		p.clock = nil
	}
}

// pinger asks etcd for signs of life.
//
// A ping is a watcher that lets no event through and is canceled as soon as it
// is created. etcd answers that always and at once, with its revision. Progress
// requests are no use for it: since 3.4.25 and 3.5.8 etcd does not answer them
// until something was written after the revision from which a watcher starts.
type pinger struct {
	ticker   *time.Ticker
	interval time.Duration
	last     time.Time // the last tick
	heard    time.Time // the last message of any kind
	sent     bool      // a ping is on its way
	watcher  int64     // the one to be canceled, or noWatcher
	revision int64     // of the last answer
}

const noWatcher = -1

func (p *pinger) start(silence time.Duration, revision int64) {
	p.interval = max(silence/3, time.Millisecond)
	p.ticker = time.NewTicker(p.interval)
	p.last = time.Now()
	p.heard = p.last
	p.watcher = noWatcher
	p.revision = revision
}

// asleep tells whether nobody looked at the clock for so long that the silence
// may be ours: the process was stopped, or sink was slow.
func (p *pinger) asleep(now time.Time) bool {
	gap := now.Sub(p.last)
	p.last = now
	return gap > 2*p.interval
}

func (p *pinger) request(r keyRange) *pb.WatchRequest {
	return createRequest(r, 0, pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE)
}
