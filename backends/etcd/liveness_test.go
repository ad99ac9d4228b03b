package etcd

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"pc4patroni/backends"
	"pc4patroni/backends/etcd/etcdtest"
)

const fakeCluster = 7

// fake is an etcd that does what real ones do only in rare moments: its member
// that is watched is at one revision, and what it reads is at another.
type fake struct {
	pb.UnimplementedWatchServer
	pb.UnimplementedKVServer
	cluster atomic.Uint64 // of the watch
	member  atomic.Int64  // the revision of the member that is watched
	store   atomic.Int64  // the revision of the store
	// say is sent after the first watcher was created, if it is not nil; an
	// error ends the stream.
	say func() (*pb.WatchResponse, error)
	// deny has all watchers refused, and all reads after the first of them.
	deny   bool
	denied atomic.Bool
	// late has the first watcher created only when a second one is asked for.
	// Until then reads are denied; then both watchers get a change.
	late bool
}

func (f *fake) header(cluster uint64, revision int64) *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: cluster, Revision: revision}
}

func (f *fake) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	if f.denied.Load() {
		return nil, rpctypes.ErrGRPCPermissionDenied
	}
	return &pb.RangeResponse{Header: f.header(fakeCluster, f.store.Load())}, nil
}

func (f *fake) Txn(ctx context.Context, txn *pb.TxnRequest) (*pb.TxnResponse, error) {
	resp := &pb.TxnResponse{Header: f.header(fakeCluster, f.store.Load())}
	for range txn.Success {
		found, err := f.Range(ctx, nil)
		if err != nil {
			return nil, err
		}
		resp.Responses = append(resp.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: found}})
	}
	return resp, nil
}

func (f *fake) Watch(rpc pb.Watch_WatchServer) error {
	for id := int64(0); ; {
		req, err := rpc.Recv()
		if err != nil {
			return err
		}
		if req.GetCreateRequest() == nil {
			continue
		}
		if f.deny {
			f.denied.Store(true)
			if err := rpc.Send(&pb.WatchResponse{WatchId: -1, Created: true, Canceled: true, CancelReason: rpctypes.ErrGRPCPermissionDenied.Error(), Header: f.header(f.cluster.Load(), f.member.Load())}); err != nil {
				return err
			}
			continue
		}
		if f.late {
			if id++; id == 1 {
				f.denied.Store(true)
				continue
			}
			f.store.Store(11)
			for _, resp := range []*pb.WatchResponse{
				{WatchId: 0, Created: true}, {WatchId: 1, Created: true}, event(0, 11), event(1, 11),
			} {
				resp.Header = f.header(f.cluster.Load(), 11)
				if err := rpc.Send(resp); err != nil {
					return err
				}
			}
			continue
		}
		if err := rpc.Send(&pb.WatchResponse{WatchId: id, Created: true, Header: f.header(f.cluster.Load(), f.member.Load())}); err != nil {
			return err
		}
		if id == 0 && f.say != nil {
			resp, err := f.say()
			if err != nil {
				return err
			}
			if resp.Header == nil {
				resp.Header = f.header(f.cluster.Load(), f.member.Load())
			}
			if err := rpc.Send(resp); err != nil {
				return err
			}
		}
		id++
	}
}

// startServer serves what register registers and returns its address.
func startServer(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// startFake starts the fake at revision 10 and returns a client for it.
func startFake(t *testing.T, f *fake, silence time.Duration) *Client {
	t.Helper()
	f.cluster.CompareAndSwap(0, fakeCluster)
	f.member.CompareAndSwap(0, 10)
	f.store.CompareAndSwap(0, 10)
	addr := startServer(t, func(s *grpc.Server) {
		pb.RegisterWatchServer(s, f)
		pb.RegisterKVServer(s, f)
	})
	return newClient(t, Config{Nodes: []string{addr}, Silence: silence})
}

func event(watcher, revision int64) *pb.WatchResponse {
	return &pb.WatchResponse{WatchId: watcher, Events: []*mvccpb.Event{{
		Kv: &mvccpb.KeyValue{Key: []byte("/a/x"), Value: []byte("v"), ModRevision: revision},
	}}}
}

func TestWatchEndsByWhatEtcdSays(t *testing.T) {
	canceled := func(reason string) func() (*pb.WatchResponse, error) {
		return func() (*pb.WatchResponse, error) {
			return &pb.WatchResponse{Canceled: true, CancelReason: reason}, nil
		}
	}
	for _, tt := range []struct {
		name string
		say  func() (*pb.WatchResponse, error)
		want string
	}{
		{"changes for nobody", func() (*pb.WatchResponse, error) { return event(5, 11), nil }, "watcher 5, which was not created"},
		{"a revision again", func() (*pb.WatchResponse, error) { return event(0, 9), nil }, "revision 9 of \"/a/\" came after revision 10"},
		{"another cluster", func() (*pb.WatchResponse, error) {
			return &pb.WatchResponse{WatchId: -1, Header: &pb.ResponseHeader{ClusterId: 8, Revision: 11}}, nil
		}, "etcd was replaced"},
		{"no leader", canceled(rpctypes.ErrGRPCNoLeader.Error()), "no leader"},
		{"no reason", canceled(""), "it gave no reason"},
		{"stream without a leader", func() (*pb.WatchResponse, error) { return nil, rpctypes.ErrGRPCNoLeader }, "no leader"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := startFake(t, &fake{say: tt.say}, time.Minute)
			w := startWatch(t, c, 0, from(makeVersion(fakeCluster, 10), "/a/")...)
			if err := w.wait(); !strings.Contains(err.Error(), tt.want) || errors.Is(err, backends.ErrDenied) {
				t.Errorf("Watch ended with %v, want ...%s...", err, tt.want)
			}
		})
	}
	for name, say := range map[string]func() (*pb.WatchResponse, error){
		"compacted": func() (*pb.WatchResponse, error) {
			return &pb.WatchResponse{Canceled: true, CompactRevision: 10}, nil
		},
		"compacted, by its text": canceled(rpctypes.ErrCompacted.Error()),
	} {
		c := startFake(t, &fake{say: say}, time.Minute)
		w := startWatch(t, c, 0, from(makeVersion(fakeCluster, 9), "/a/")...)
		w.await(name, func() bool { return w.resyncs[backends.ResyncCompacted] == 1 })
	}
}

// TestPermissionGoesAtTheLastMoment: after the first read and before the watch.
func TestPermissionGoesAtTheLastMoment(t *testing.T) {
	c := startFake(t, &fake{deny: true}, time.Minute)
	w := watchPaths(t, c, from(makeVersion(fakeCluster, 10), "/a/", "/b/", "/c/")...)
	if len(w.denied) != 3 {
		t.Errorf("denied: %v, want all three paths", w.denied)
	}
}

// TestPermissionGoesBeforeTheWatcherIsCreated: etcd has not answered the request
// for a watcher when a read is denied. Once reading is allowed again there must
// be one watcher and not two, whose changes would come twice.
func TestPermissionGoesBeforeTheWatcherIsCreated(t *testing.T) {
	f := &fake{late: true}
	c := startFake(t, f, time.Minute)
	w := startWatch(t, c, 20*time.Millisecond, from(makeVersion(fakeCluster, 10), "/a/")...)
	w.await("the denial", func() bool { return len(w.denied) == 1 })
	f.denied.Store(false)
	w.await("a resync after the change", func() bool {
		return len(w.changes) > 0 && w.calls[len(w.calls)-1] != nil && w.resyncs[backends.ResyncInterval] > 3
	})
	if len(w.changes) != 1 {
		t.Errorf("%d changes, want 1: %v", len(w.changes), w.changes)
	}
}

// TestMemberThatDoesNotAdvance answers every ping while the others go on.
func TestMemberThatDoesNotAdvance(t *testing.T) {
	const silence = 150 * time.Millisecond
	f := &fake{}
	c := startFake(t, f, silence)
	w := watchPaths(t, c, from("", "/a/")...)
	w.signs(3)
	started := time.Now()
	f.store.Store(20)
	err := w.wait()
	if !strings.Contains(err.Error(), "stays at revision 10, the store is at 20") {
		t.Errorf("Watch ended with %v", err)
	}
	if took := time.Since(started); took > 50*silence {
		t.Errorf("that took %v", took)
	}
}

// TestMemberThatLagsBehind: a member that gets there in the end is no reason to
// do anything, and neither is a version that is ahead of it.
func TestMemberThatLagsBehind(t *testing.T) {
	f := &fake{}
	f.member.Store(8)
	c := startFake(t, f, 300*time.Millisecond)
	w := watchPaths(t, c, from(makeVersion(fakeCluster, 10), "/a/")...)
	f.member.Store(10)
	w.signs(20)
	if len(w.resyncs) > 0 {
		t.Errorf("full states %v, want none", w.resyncs)
	}
	f.store.Store(9) // restored from a backup
	if err := w.wait(); !strings.Contains(err.Error(), "restored from a backup") {
		t.Errorf("Watch ended with %v", err)
	}
	w = w.again(c)
	if w.count(backends.ResyncReplaced) != 1 {
		t.Errorf("full states %v, want one for %q", w.resyncs, backends.ResyncReplaced)
	}
}

// TestSlowSinkIsNotSilence: while sink is at work nobody listens, which must
// not be taken for etcd's silence.
func TestSlowSinkIsNotSilence(t *testing.T) {
	const silence = 300 * time.Millisecond
	s := etcdtest.Start(t)
	c := newClient(t, Config{Nodes: []string{s.URL()}, Silence: silence})
	there := errors.New("got there")
	slow := 0
	err := c.Watch(t.Context(), from("", "/"), 0, func([]backends.Update) error {
		if slow++; slow == 5 {
			return there
		}
		time.Sleep(3 * silence) // a sink that takes its time
		return nil
	})
	if err != there {
		t.Errorf("Watch ended with %v", err)
	}
}

// TestGRPCProxy: headers of etcd's own proxy have no cluster ID now and then.
func TestGRPCProxy(t *testing.T) {
	s := etcdtest.Start(t)
	s.Put(batman+"leader", "db1")
	addr := startServer(t, func(server *grpc.Server) {
		kv, kvDone := grpcproxy.NewKvProxy(s.Client())
		ctx, cancel := context.WithCancel(context.Background())
		watch, watchDone := grpcproxy.NewWatchProxy(ctx, zap.NewNop(), s.Client())
		pb.RegisterKVServer(server, kv)
		pb.RegisterWatchServer(server, watch)
		t.Cleanup(func() {
			cancel()
			<-kvDone
			<-watchDone
		})
	})
	c := newClient(t, Config{Nodes: []string{addr}, Silence: 600 * time.Millisecond})
	w := startWatch(t, c, 200*time.Millisecond, from("", batman)...)
	w.value(batman, batman+"leader", "db1")
	w.ready()
	s.Put(batman+"leader", "db2")
	w.value(batman, batman+"leader", "db2")
	w.await("resyncs", func() bool { return w.resyncs[backends.ResyncInterval] > 2 })
	w.signs(20) // checks are among them
	after := w.latest[batman]
	w.cancel()
	w.wait()
	s.Put(batman+"leader", "db3")
	w = watchPaths(t, c, from(after, batman)...)
	w.value(batman, batman+"leader", "db3")
	if len(w.resyncs) != 0 {
		t.Errorf("full states: %v, want none", w.resyncs)
	}
}
