package etcd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"pc4patroni/backends"
)

// handle handles one message of a stream whose watchers are created.
func (f *follower) handle(resp *pb.WatchResponse) error {
	if err := f.sameStore(resp); err != nil {
		return err
	}
	switch {
	case resp.Created:
		return f.pong(resp)
	case resp.Canceled || resp.CompactRevision != 0:
		if f.ping.watcher == resp.WatchId {
			f.ping.watcher = noWatcher
			return nil
		}
		return f.canceled(resp)
	case len(resp.Events) > 0:
		return f.events(resp)
	default:
		return f.progress()
	}
}

// events takes the changes of one watcher.
func (f *follower) events(resp *pb.WatchResponse) error {
	r, ok := f.rangeOf[resp.WatchId]
	if !ok {
		return &backends.Lost{Reason: backends.ReasonOther, Err: fmt.Errorf("watch etcd: changes for watcher %d, which was not created", resp.WatchId)}
	}
	if first := resp.Events[0].Kv.ModRevision; first <= f.merger.handedOver(r) {
		return &backends.Lost{Reason: backends.ReasonOther, Err: fmt.Errorf("watch etcd: revision %d came after revision %d", first, f.merger.handedOver(r))}
	}
	now := time.Now()
	f.proof.message(now)
	if batch, whole := f.merger.add(r, resp.Events); whole {
		return f.emit(batch)
	}
	if f.proof.wanted(now) {
		f.st.send(progressRequest())
	}
	return nil
}

// progress handles an answer to progressRequest.
func (f *follower) progress() error {
	if !f.merger.waiting() {
		return nil
	}
	proven, again := f.proof.answer(time.Now())
	if proven {
		return f.release()
	}
	if again {
		f.st.send(progressRequest())
	}
	return nil
}

// unproven handles changes for which there is no proof yet.
func (f *follower) unproven() error {
	if f.proof.overdue(time.Now()) {
		return f.release()
	}
	// Either a watcher is behind, and etcd answers when asked again, or the
	// question was lost.
	f.st.send(progressRequest())
	return nil
}

func (f *follower) release() error {
	f.proof.stop()
	return f.emit(f.merger.release())
}

// canceled makes the error for a watcher that etcd ended.
func (f *follower) canceled(resp *pb.WatchResponse) error {
	if resp.CompactRevision != 0 {
		return lostCompacted(f.reached)
	}
	reason := backends.ReasonOther
	switch classifyReason(resp.CancelReason) {
	case compacted:
		return lostCompacted(f.reached)
	case tokenRefused, forbidden, noUser:
		reason = backends.ReasonAuth
	case unavailable:
		reason = backends.ReasonConnection
	}
	text := plainReason(resp.CancelReason)
	if text == "" {
		text = "it gave no reason"
	}
	return &backends.Lost{Reason: reason, Err: fmt.Errorf("etcd ended the watch: %s", text)}
}

// classifyReason is classify for the reason why a watcher was canceled, which
// etcd gives as the text of an error.
func classifyReason(reason string) class {
	return classify(rpctypes.Error(errors.New(plainReason(reason))))
}

// plainReason is reason without gRPC's decoration, which it may have.
func plainReason(reason string) string {
	if _, desc, ok := strings.Cut(reason, " desc = "); ok {
		return desc
	}
	return reason
}

// tick asks etcd for a sign of life, and gives up when there was none for too
// long.
func (f *follower) tick(now time.Time) error {
	// What has arrived meanwhile counts, even if the ticker won the select.
	select {
	case resp, ok := <-f.st.in:
		if !ok {
			return &backends.Lost{Reason: backends.ReasonConnection, Err: fmt.Errorf("watch etcd: %w", plainError{f.st.err})}
		}
		f.ping.heard = time.Now()
		if err := f.handle(resp); err != nil {
			return err
		}
	default:
	}
	if f.ping.asleep(now) {
		// This process stood still, not etcd.
		f.ping.heard = now
	}
	if quiet := now.Sub(f.ping.heard); quiet >= f.silence {
		f.broken = true
		return &backends.Lost{Reason: backends.ReasonSilence, Err: fmt.Errorf("nothing heard from etcd for %v", quiet.Round(time.Millisecond))}
	}
	if !f.ping.sent {
		f.ping.sent = f.st.send(f.ping.request(f.pingable))
	}
	return nil
}

// pong handles the answer to a ping, the only watcher that is created now.
func (f *follower) pong(resp *pb.WatchResponse) error {
	f.ping.sent = false
	floor := f.ping.revision
	if f.reached > f.version.Revision {
		// It was this member that told us of it.
		floor = max(floor, f.reached)
	}
	if resp.Header.Revision < floor {
		return f.lostReplaced(resp.Header)
	}
	f.ping.revision = resp.Header.Revision
	if resp.Canceled {
		switch class := classifyReason(resp.CancelReason); class {
		case tokenRefused, forbidden, noUser:
			return &backends.Lost{Reason: backends.ReasonAuth, Err: fmt.Errorf("etcd would not let us watch any more: %s", plainReason(resp.CancelReason))}
		}
	} else {
		f.ping.watcher = resp.WatchId
		f.st.send(cancelRequest(resp.WatchId))
	}
	return f.emit(backends.Batch{Revision: f.reached})
}
