package etcd

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const (
	// proofRetry is when etcd is asked again to confirm that nothing is missing.
	// It does not answer while a watcher is behind.
	proofRetry = 50 * time.Millisecond
	// proofLimit is how long changes are kept for want of a proof.
	proofLimit = time.Second
	// hastyAnswers is how many answers in a row a hasty server has to give, and
	// hastyTime is for how long, with no change in between.
	hastyAnswers = 8
	hastyTime    = 10 * time.Millisecond
	// catchUp is how long a hasty server gets for watchers that are behind: it
	// looks after them every 100 ms.
	catchUp = 300 * time.Millisecond
	// burst is how many messages within burstTime may mean that some watchers of
	// a hasty server fell behind: it keeps 128 for a stream.
	burst     = 64
	burstTime = 100 * time.Millisecond
	// quietTime is how long nothing more must have come from a mute server.
	quietTime = 5 * time.Millisecond
)

// honesty is what a server's answers to progress requests are worth.
type honesty int

const (
	// honest servers answer when no watcher of the stream is behind, and after
	// all that they sent to any of them: that is a proof.
	honest honesty = iota
	// hasty ones, before 3.4.25 and 3.5.8, answer at once, and the answer may
	// overtake changes (etcd issue 15220). They show themselves by answering
	// even before the stream has a watcher. Of the changes and answers that wait
	// to be sent they take one at random, so one answer means little, but many in
	// a row mean that no change waits, unless the server was interrupted while it
	// handed a revision to its watchers, or one of them is behind.
	hasty
	// mute ones, up to 3.3, do not answer.
	mute
)

// proof is the state of the question whether all pieces of the revisions that
// a merger keeps have arrived.
type proof struct {
	server   honesty
	answered bool        // there has been an answer
	row      int         // answers since the last change
	last     time.Time   // when that came
	settled  time.Time   // when watchers of a hasty server are not behind any more
	window   time.Time   // the begin of a time of burstTime
	messages int         // in it
	since    time.Time   // when the first of the changes was kept
	clock    *time.Timer // nil unless changes are kept
}

// message is called for each message with changes, kept or not.
func (p *proof) message(now time.Time) {
	if p.server != hasty {
		return
	}
	if now.Sub(p.window) > burstTime {
		p.window, p.messages = now, 0
	}
	if p.messages++; p.messages > burst {
		p.settled = now.Add(catchUp)
	}
}

// wanted is called for changes that have to be kept. It tells whether etcd
// must be asked.
func (p *proof) wanted(now time.Time) bool {
	p.row, p.last = 0, now
	first := p.clock == nil
	if first {
		p.since = now
		p.clock = time.NewTimer(p.pause())
	} else if p.server == mute && now.Sub(p.since) < proofLimit {
		p.clock.Reset(quietTime)
	}
	// If etcd was asked already, the answer that is on its way comes after what
	// has arrived just now.
	return first && p.server != mute
}

func (p *proof) pause() time.Duration {
	if p.server == mute {
		return quietTime
	}
	return proofRetry
}

// answer is called for an answer. It tells whether that proves that all has
// arrived, and if not, whether etcd must be asked again at once.
func (p *proof) answer(now time.Time) (proven, again bool) {
	p.answered = true
	if p.server != hasty {
		return p.server == honest, false
	}
	p.row++
	if p.row < hastyAnswers {
		return false, true
	}
	ready := p.last.Add(hastyTime)
	if p.settled.After(ready) {
		ready = p.settled
	}
	if now.Before(ready) {
		p.clock.Reset(ready.Sub(now))
		return false, false
	}
	return true, false
}

// timer fires when it is time to call overdue.
func (p *proof) timer() <-chan time.Time {
	if p.clock == nil {
		return nil
	}
	return p.clock.C
}

// overdue tells whether to hand over without a proof. If not, etcd must be
// asked again.
func (p *proof) overdue(now time.Time) bool {
	if p.server == mute {
		return true
	}
	if now.Sub(p.since) >= proofLimit {
		if !p.answered {
			// This must not cost a second each time.
			p.server = mute
		}
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
