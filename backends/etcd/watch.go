package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"pc4patroni/backends"
)

// Watch implements [backends.Backend] in three steps:
//
//   - resume: one small read finds the store's cluster ID and revision, which
//     decide what is watched from the caller's version and what is read in full;
//   - open: one stream with a watcher for each range;
//   - follow: events are delivered as they come. Full reads run beside that: first
//     of what could not be resumed, later of everything at each resync.
//
// A path that etcd denies does not disturb the others; it is tried again at each
// resync.
func (c *Client) Watch(ctx context.Context, paths []backends.WatchPath, resync time.Duration, sink func([]backends.Update) error) error {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = p.Path
	}
	if err := checkPaths(names); err != nil {
		return err
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	w := &watch{c: c, sink: sink, done: make(chan func() error)}
	err = w.run(ctx, paths, resync)
	if fromSink, ok := errors.AsType[*sinkError](err); ok {
		return fromSink.err
	}
	if ctx.Err() != nil && !errors.Is(err, over(ctx)) {
		return fmt.Errorf("watch etcd: %w", over(ctx))
	}
	return err
}

// watch is one Watch under way. One goroutine owns it.
type watch struct {
	c    *Client
	sink func([]backends.Update) error

	cluster  uint64 // 0 if not known
	reached  int64  // the highest revision that the store is known to have
	watchers []*watcher

	st      *stream
	byID    map[int64]*watcher
	asked   []*watcher // whose creation etcd has not answered, in order; nil is a ping
	settled bool       // every watcher was created or denied on this stream
	renewed bool       // this stream took the place of one with a stale token

	// Reads beside the watch (resync.go).
	queue    []*watcher
	reading  bool
	nextFull int // index of the watcher whose range is read in full next

	// Liveness (liveness.go).
	pings    pinger
	checking bool

	// done yields what is to be done with the result of a read or a check.
	done chan func() error
	wg   sync.WaitGroup
}

// watcher is one path on the stream.
type watcher struct {
	path     string
	revision int64 // of the state that the caller has; 0: none
	// resync is why the caller lost the state that it had, or empty.
	resync string

	id   int64 // while live
	live bool
	next int64 // the revision to watch from; 0: not before a read
	// denied is set while etcd does not let us read the range.
	denied bool
	// refused is set when etcd refused to watch the range: a read tells why.
	refused bool

	queued  bool // to be read
	full    bool // the read is for the caller even if that has a state
	reading bool
	recent  []*mvccpb.Event // what was delivered since the read began
}

// errStaleToken ends a stream whose token has expired, for one with a new token.
// Watchers on the old stream go on, but etcd accepts no new ones.
var errStaleToken = errors.New("the token of the stream has expired")

// sinkError marks an error of sink, which Watch returns as it is.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }

func (w *watch) run(ctx context.Context, paths []backends.WatchPath, resync time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer w.wg.Wait()
	defer cancel()
	if err := w.resume(ctx, paths); err != nil {
		return err
	}
	w.pings.start(w.c.cfg.Silence)
	defer w.pings.ticker.Stop()
	// The hosts of a fleet come back together when etcd does, and must not read together
	// an interval later.
	first := w.untilResync(resync) / 2
	due := time.NewTimer(first + rand.N(first+1))
	defer due.Stop()
	if err := w.c.turn(ctx); err != nil {
		return err
	}
	for {
		if err := w.open(ctx); err != nil {
			return err
		}
		err := w.follow(ctx, due, resync)
		w.st.close()
		if err != errStaleToken {
			return err
		}
	}
}

// open opens a stream and asks for the watchers that can start.
func (w *watch) open(ctx context.Context) (err error) {
	if w.st, err = openStream(ctx, w.c); err != nil {
		return w.c.explain(ctx, err)
	}
	w.byID = make(map[int64]*watcher, len(w.watchers))
	w.asked, w.settled = nil, false
	w.pings.reset()
	for _, wr := range w.watchers {
		wr.live, wr.refused = false, false
		w.create(wr)
	}
	return nil
}

// create asks for the watcher of a range, if its first revision is known.
func (w *watch) create(wr *watcher) {
	if wr.next > 0 && !wr.denied {
		w.asked = append(w.asked, wr)
		w.st.send(createRequest(rangeOf(wr.path), wr.next))
	}
}

// follow handles what happens until something ends the stream.
func (w *watch) follow(ctx context.Context, due *time.Timer, resync time.Duration) error {
	for {
		w.startRead(ctx)
		if err := w.settle(); err != nil {
			return err
		}
		var err error
		select {
		case resp, ok := <-w.st.in:
			if !ok {
				return w.ended(ctx)
			}
			w.pings.heard = time.Now()
			err = w.handle(ctx, resp)
		case finish := <-w.done:
			err = finish()
		case now := <-w.pings.ticker.C:
			err = w.tick(ctx, now)
		case <-due.C:
			w.resync()
			due.Reset(w.untilResync(resync))
		case <-ctx.Done():
			err = over(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// background does work beside the watch. The goroutine that owns the watch calls
// the function that work returns.
func (w *watch) background(ctx context.Context, work func() func() error) {
	w.wg.Go(func() {
		finish := work()
		select {
		case w.done <- finish:
		case <-ctx.Done():
		}
	})
}

// settle tells the caller when everything is watched.
func (w *watch) settle() error {
	if w.settled || w.reading || len(w.queue) > 0 || slices.ContainsFunc(w.watchers, func(wr *watcher) bool { return !wr.live && !wr.denied }) {
		return nil
	}
	w.settled, w.renewed = true, false
	return w.deliver(nil)
}

// ended makes the error for the end of the stream.
func (w *watch) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return over(ctx)
	}
	return fmt.Errorf("watch etcd: %w", plainError{w.st.err})
}

// deliver hands updates to sink.
func (w *watch) deliver(updates []backends.Update) error {
	if err := w.sink(updates); err != nil {
		return &sinkError{err}
	}
	return nil
}

// replaced makes the error for a store that is not the one that was watched.
func (w *watch) replaced(cluster uint64, revision, expected int64) error {
	return fmt.Errorf("etcd was replaced, or restored from a backup: expected cluster %x at revision %d, found cluster %x at revision %d",
		w.cluster, expected, cluster, revision)
}
