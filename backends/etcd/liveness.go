package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// pinger checks the liveness of the member at the other end of the stream.
//
// A ping is a watcher that filters out every event and is canceled as soon as it
// is created. etcd always answers at once, with its revision. Progress requests
// do not work: etcd answers them late or not at all while a watcher is behind,
// and its grpc-proxy mishandles them.
//
// A member that answers may be stuck at an old revision. So a linearizable read
// now and then gives the store's revision, which the member must reach.
type pinger struct {
	ticker  *time.Ticker
	silence time.Duration
	last    time.Time // the last tick
	heard   time.Time // the last message of any kind
	pinged  *watcher  // whose range the ping under way asks for, or nil
	member  int64     // the revision of the member, as far as it said

	check    time.Time // when to ask how far the store is
	expected int64     // what the member has to reach; 0: nothing
	since    time.Time // when expected was set
}

func (p *pinger) start(silence time.Duration) {
	p.silence = silence
	p.ticker = time.NewTicker(max(silence/3, time.Millisecond))
	p.last = time.Now()
	p.planCheck()
}

// reset is for a new stream.
func (p *pinger) reset() {
	p.heard = time.Now()
	p.pinged, p.member, p.expected = nil, 0, 0
}

// planCheck spreads the checks of a fleet: one a minute with the default.
func (p *pinger) planCheck() {
	p.check = time.Now().Add(3*p.silence + rand.N(2*p.silence))
}

// saw notes the revision in a header. Headers that etcd's grpc-proxy makes up have
// no cluster ID and say nothing about a member.
func (p *pinger) saw(h *pb.ResponseHeader) {
	if h.GetClusterId() == 0 {
		return
	}
	p.member = max(p.member, h.GetRevision())
	if p.member >= p.expected {
		p.expected = 0
	}
}

// expect has the member reach a revision, if the member's own is known.
func (p *pinger) expect(revision int64) {
	if p.member > 0 && revision > p.member && p.expected == 0 {
		p.expected, p.since = revision, time.Now()
	}
}

// tick sends a ping, and fails after too long without an answer.
func (w *watch) tick(ctx context.Context, now time.Time) error {
	p := &w.pings
	if now.Sub(p.last) > p.silence*2/3 {
		// This process was suspended, or sink was slow: etcd is not to blame.
		p.heard, p.since = now, now
	}
	p.last = now
	if quiet := now.Sub(p.heard); quiet >= p.silence {
		return fmt.Errorf("watch etcd: nothing heard for %v", quiet.Round(time.Millisecond))
	}
	if p.expected > 0 && now.Sub(p.since) >= p.silence {
		return fmt.Errorf("watch etcd: the member stays at revision %d, the store is at %d", p.member, p.expected)
	}
	any := w.watchers[rand.IntN(len(w.watchers))]
	if p.pinged == nil {
		p.pinged = any
		w.asked = append(w.asked, nil)
		w.st.send(createRequest(rangeOf(any.path), 0, pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE))
	}
	if now.After(p.check) {
		w.check(ctx, any)
	}
	return nil
}

// pong handles the answer to a ping. A refusal is one, too.
func (w *watch) pong(ctx context.Context, resp *pb.WatchResponse) error {
	wr := w.pings.pinged
	w.pings.pinged = nil
	switch {
	case !resp.Canceled:
		w.st.send(cancelRequest(resp.WatchId))
	case !wr.denied:
		w.refuse(wr)
	}
	if h := resp.Header; h.GetClusterId() != 0 && h.GetRevision() < w.reached {
		// The member lags behind, or the store was restored from a backup.
		w.check(ctx, wr)
	}
	if !w.settled {
		return nil
	}
	return w.deliver(nil)
}

// check asks the store, and not the member that is watched, for its revision.
func (w *watch) check(ctx context.Context, wr *watcher) {
	if w.checking {
		return
	}
	w.checking = true
	w.pings.planCheck()
	floor := w.reached
	w.background(ctx, func() func() error {
		cluster, revision, allowed, err := w.c.present(ctx, wr.path)
		return func() error {
			w.checking = false
			switch {
			case err != nil:
				return err
			case !allowed:
				w.refuse(wr)
			case !sameCluster(cluster, w.cluster) || revision < floor:
				return w.replaced(cluster, revision, floor)
			default:
				w.pings.expect(revision)
			}
			return nil
		}
	})
}
