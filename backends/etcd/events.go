package etcd

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"pc4patroni/backends"
)

// handle handles one message of the stream.
func (w *watch) handle(ctx context.Context, resp *pb.WatchResponse) error {
	if !sameCluster(resp.Header.GetClusterId(), w.cluster) {
		return w.replaced(resp.Header.GetClusterId(), resp.Header.GetRevision(), w.reached)
	}
	w.pings.saw(resp.Header)
	switch {
	case resp.Created:
		if len(w.asked) == 0 {
			return errors.New("watch etcd: etcd created a watcher that was not requested")
		}
		wr := w.asked[0]
		w.asked = w.asked[1:]
		if wr == nil {
			return w.pong(ctx, resp)
		}
		if resp.Canceled {
			return w.canceled(wr, resp)
		}
		wr.id = resp.WatchId
		w.byID[wr.id] = wr
		if wr.live = !wr.denied; wr.denied {
			w.st.send(cancelRequest(wr.id))
		}
		return nil
	case resp.Canceled || resp.CompactRevision != 0:
		wr := w.byID[resp.WatchId]
		delete(w.byID, resp.WatchId)
		if wr == nil || !wr.live || wr.id != resp.WatchId {
			return nil // we canceled it, a ping for example
		}
		wr.live = false
		return w.canceled(wr, resp)
	case len(resp.Events) > 0:
		wr := w.byID[resp.WatchId]
		if wr == nil {
			return fmt.Errorf("watch etcd: changes for watcher %d, which was not created", resp.WatchId)
		}
		if !wr.live || wr.id != resp.WatchId {
			return nil // its path was denied a moment ago
		}
		return w.events(wr, resp.Events)
	}
	return nil
}

// canceled handles a watcher that etcd canceled.
func (w *watch) canceled(wr *watcher, resp *pb.WatchResponse) error {
	class := classifyReason(resp.CancelReason)
	switch {
	case wr.denied:
		return nil
	case class == compacted || resp.CompactRevision != 0:
		wr.next = 0
		if wr.revision > 0 {
			wr.revision, wr.resync = 0, backends.ResyncCompacted
		}
		w.enqueue(wr)
		return nil
	case class == tokenRefused || class == forbidden || class == noUser:
		w.refuse(wr)
		return nil
	}
	text := plainReason(resp.CancelReason)
	if text == "" {
		text = "it gave no reason"
	}
	return fmt.Errorf("etcd ended the watch of %q: %s", wr.path, text)
}

// events delivers one message of events. It holds whole revisions.
func (w *watch) events(wr *watcher, events []*mvccpb.Event) error {
	first, last := events[0].Kv.ModRevision, events[len(events)-1].Kv.ModRevision
	if first < wr.next {
		return fmt.Errorf("watch etcd: revision %d of %q came after revision %d", first, wr.path, wr.next-1)
	}
	wr.next = last + 1
	w.reached = max(w.reached, last)
	if wr.reading {
		wr.recent = append(wr.recent, events...)
	}
	if wr.revision == 0 {
		return nil // its full state is still to come
	}
	var changes []backends.Change
	for _, ev := range events {
		if ev.Kv.ModRevision > wr.revision {
			changes = append(changes, change(ev))
		}
	}
	if len(changes) == 0 {
		return nil
	}
	wr.revision = last
	return w.deliver([]backends.Update{{Path: wr.path, Version: makeVersion(w.cluster, last), Changes: changes}})
}

func change(ev *mvccpb.Event) backends.Change {
	if ev.Type == mvccpb.Event_DELETE {
		return backends.Change{Key: string(ev.Kv.Key), Deleted: true}
	}
	return backends.Change{Key: string(ev.Kv.Key), Value: string(ev.Kv.Value)}
}
