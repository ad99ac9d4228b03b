package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/connectivity"

	"pc4patroni/backends"
)

// Follow implements [backends.Backend]. The paths are one group in the sense of
// FollowGroups: batches come in the order of their revisions, and each holds
// whole revisions over all paths.
func (c *Client) Follow(ctx context.Context, paths []string, version backends.Version, sink func(backends.Batch) error) error {
	return c.FollowGroups(ctx, [][]string{paths}, version, sink)
}

// FollowGroups is Follow for a caller that looks at some of the paths together
// and at others apart: it keeps order and wholeness of revisions within
// each group of paths only. A revision that concerns two groups comes in two
// batches with the same Revision, and the batch of one group may overtake
// that of another. Groups that share a path are one group.
//
// The changes of a group that is one range, because it is one path that ends
// with a slash, are handed over as they arrive. etcd sends the changes of other
// groups in pieces without saying which is the last, so they wait until etcd
// has confirmed that nothing is missing: one more round trip. Before 3.4.25 and
// 3.5.8 etcd may confirm what is not so; there they wait for several
// confirmations, and if a piece is late all the same FollowGroups ends with an error
// instead of handing it over out of order.
//
// The first batch is empty and says that from now on every change will be
// seen. When nothing changes an empty one follows every third of
// Config.Silence.
func (c *Client) FollowGroups(ctx context.Context, groups [][]string, version backends.Version, sink func(backends.Batch) error) error {
	pl, err := newPlan(groups)
	if err != nil {
		return err
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	s, _, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	f := &follower{s: s, plan: pl, version: version, sink: sink, silence: c.cfg.Silence}
	err = f.run(ctx)
	c.release(s, f.broken)
	var fromSink *sinkError
	switch {
	case errors.As(err, &fromSink):
		return fromSink.err
	case ctx.Err() != nil && !errors.Is(err, over(ctx)):
		return fmt.Errorf("follow etcd: %w", over(ctx))
	}
	return err
}

// sinkError is an error of sink on its way out, which nothing is added to.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }

// follower is one FollowGroups. One goroutine owns it.
type follower struct {
	s       *session
	plan    plan
	version backends.Version
	sink    func(backends.Batch) error
	silence time.Duration
	// broken is set when the session is of no more use.
	broken bool

	st     *stream
	merger *merger
	// creating holds the ranges whose watchers etcd was asked for and has not
	// confirmed: it answers in order.
	creating []int
	rangeOf  map[int64]int // by the watcher's number
	early    []*pb.WatchResponse
	pingable keyRange // a range that may be watched
	created  int64    // the lowest revision at which a watcher was created
	reached  int64    // the highest revision handed over

	proof proof
	ping  pinger
}

// run connects and then follows until something ends it.
func (f *follower) run(ctx context.Context) error {
	f.reached = f.version.Revision
	if err := f.connect(ctx); err != nil {
		return err
	}
	defer func() { f.st.close() }()
	if err := f.verify(ctx); err != nil {
		return err
	}
	if err := f.emit(backends.Batch{Revision: f.reached}); err != nil {
		return err
	}
	return f.follow(ctx)
}

// connect opens a stream with all watchers. Like a request it tries another
// node if one has no leader, and another token if one is not accepted.
func (f *follower) connect(ctx context.Context) error {
	if err := f.s.login(ctx); err != nil {
		return err
	}
	renewed := false
	for left := 2 * len(f.s.nodes); ; left-- {
		used := f.s.token.get()
		err := f.open(ctx)
		if err == nil {
			return nil
		}
		if f.st != nil {
			f.st.close()
		}
		var d *deniedWatch
		class := classify(err)
		if errors.As(err, &d) {
			class = d.class
		}
		var lost *backends.Lost
		switch {
		case ctx.Err() != nil:
			return f.s.explain(ctx, err)
		case errors.As(err, &lost):
			return err
		case (class == tokenRefused || class == forbidden) && f.s.cfg.Username != "" && !renewed:
			// Up to 3.4 etcd says of an expired token, too, that the permission
			// is missing.
			renewed = true
			if err := f.s.renew(ctx, used); err != nil {
				return err
			}
		case d != nil && (class == forbidden || class == noUser || class == tokenRefused):
			return f.s.deny(class, d.r)
		case (class == unavailable || class == timedOut && len(f.s.nodes) > 1) && left > 1 && f.s.conn.GetState() != connectivity.TransientFailure:
			select {
			case <-time.After(retryPause):
			case <-ctx.Done():
				return f.s.explain(ctx, err)
			}
		default:
			err = f.s.explain(ctx, err)
			f.broken = isBroken(err)
			return err
		}
	}
}

// deniedWatch says that etcd refused to create the watcher of a range.
type deniedWatch struct {
	r      keyRange
	class  class
	reason string
}

func (e *deniedWatch) Error() string { return "watch " + e.r.String() + ": " + e.reason }

// open opens one stream and waits until all watchers are created.
func (f *follower) open(ctx context.Context) error {
	f.merger = newMerger(f.plan.group)
	f.creating, f.early, f.created = nil, nil, 0
	f.rangeOf = make(map[int64]int, len(f.plan.ranges))
	f.proof = proof{}
	f.st = nil
	var first []*pb.WatchRequest
	if f.merger.mayWait() {
		first = append(first, progressRequest())
	}
	for i, r := range f.plan.ranges {
		first = append(first, createRequest(r, f.version.Revision+1))
		f.creating = append(f.creating, i)
	}
	st, err := openStream(ctx, f.s, first)
	if err != nil {
		return err
	}
	f.st = st
	timeout := time.NewTimer(f.s.cfg.RequestTimeout)
	defer timeout.Stop()
	for len(f.creating) > 0 {
		select {
		case resp, ok := <-st.in:
			if !ok {
				return st.err
			}
			timeout.Reset(f.s.cfg.RequestTimeout)
			if err := f.answer(resp); err != nil {
				return err
			}
		case <-timeout.C:
			return context.DeadlineExceeded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if len(f.rangeOf) == 0 {
		return &deniedWatch{f.plan.ranges[0], forbidden, ""}
	}
	return nil
}

// answer handles one message while watchers are being created.
func (f *follower) answer(resp *pb.WatchResponse) error {
	if err := f.sameStore(resp); err != nil {
		return err
	}
	switch {
	case resp.Created && resp.Canceled:
		r := f.plan.ranges[f.creating[0]]
		class := classifyReason(resp.CancelReason)
		if class == compacted {
			return lostCompacted(f.version.Revision)
		}
		if class != forbidden || !r.optional {
			return &deniedWatch{r, class, plainReason(resp.CancelReason)}
		}
		f.merger.without(f.creating[0])
		f.creating = f.creating[1:]
	case resp.Created:
		f.rangeOf[resp.WatchId] = f.creating[0]
		f.pingable = f.plan.ranges[f.creating[0]]
		f.creating = f.creating[1:]
		if f.created == 0 || resp.Header.Revision < f.created {
			f.created = resp.Header.Revision
		}
		if resp.Header.Revision > f.version.Revision {
			f.proof.settled = time.Now().Add(catchUp)
		}
	case len(f.rangeOf) == 0 && !resp.Canceled && len(resp.Events) == 0:
		// An answer about the progress of no watcher at all is one that etcd
		// gives without looking.
		f.proof.server = hasty
	default:
		f.early = append(f.early, resp)
	}
	return nil
}

// verify makes sure that the store has not fallen behind version: watching for
// revisions to come, etcd would not say so.
func (f *follower) verify(ctx context.Context) error {
	if f.created >= f.version.Revision {
		return nil
	}
	// A member that lags behind the others looks the same as a store that was
	// put back. A linearizable read is answered when the member has caught up.
	// It reads a range that is watched already, and counts its keys only.
	r := f.pingable
	resp, err := request(ctx, f.s, func(ctx context.Context) (*pb.RangeResponse, error) {
		return f.s.kv.Range(ctx, &pb.RangeRequest{Key: []byte(r.key), RangeEnd: []byte(r.end), CountOnly: true, Limit: 1})
	})
	if err != nil {
		f.broken = isBroken(err)
		return err
	}
	if resp.Header.ClusterId != f.version.Store || resp.Header.Revision < f.version.Revision {
		return f.lostReplaced(resp.Header)
	}
	return nil
}

// follow hands over changes until something ends it.
func (f *follower) follow(ctx context.Context) error {
	f.ping.start(f.silence, f.created)
	defer f.ping.ticker.Stop()
	defer f.proof.stop()
	for _, resp := range f.early {
		if err := f.handle(resp); err != nil {
			return err
		}
	}
	f.early = nil
	for {
		select {
		case resp, ok := <-f.st.in:
			if !ok {
				return f.ended(ctx)
			}
			f.ping.heard = time.Now()
			if err := f.handle(resp); err != nil {
				return err
			}
		case now := <-f.ping.ticker.C:
			if err := f.tick(now); err != nil {
				return err
			}
		case <-f.proof.timer():
			if err := f.unproven(); err != nil {
				return err
			}
		case <-ctx.Done():
			return over(ctx)
		}
	}
}

// ended makes the error for the end of the stream.
func (f *follower) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return over(ctx)
	}
	reason := backends.ReasonConnection
	switch classify(f.st.err) {
	case tokenRefused, forbidden, noUser:
		reason = backends.ReasonAuth
	}
	f.broken = !fromServer(f.st.err)
	return &backends.Lost{Reason: reason, Err: fmt.Errorf("watch etcd: %w", plainError{f.st.err})}
}

// emit hands a batch to sink.
func (f *follower) emit(b backends.Batch) error {
	f.reached = max(f.reached, b.Revision)
	if err := f.sink(b); err != nil {
		return &sinkError{err}
	}
	return nil
}

// sameStore makes sure that a message comes from the store that was loaded.
func (f *follower) sameStore(resp *pb.WatchResponse) error {
	if resp.Header != nil && resp.Header.ClusterId != f.version.Store {
		return f.lostReplaced(resp.Header)
	}
	return nil
}

func (f *follower) lostReplaced(h *pb.ResponseHeader) error {
	// Whoever takes part in the new cluster should not meet the old connections.
	f.broken = true
	return &backends.Lost{Reason: backends.ReasonReplaced, Err: fmt.Errorf(
		"etcd is another one or was put back: cluster %x at revision %d was expected, cluster %x at revision %d found",
		f.version.Store, f.reached, h.ClusterId, h.Revision)}
}

func lostCompacted(revision int64) error {
	return &backends.Lost{Reason: backends.ReasonCompacted, Err: fmt.Errorf("etcd has compacted the changes after revision %d away", revision)}
}
