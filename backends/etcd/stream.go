package etcd

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// stream is one watch stream. Two goroutines serve it, one for each direction,
// so that neither waits for the other: etcd stops reading while its answers
// are not taken.
type stream struct {
	// in yields what etcd sends. It is closed at the end of the stream, and err
	// says why.
	in  chan *pb.WatchResponse
	err error

	out    chan *pb.WatchRequest
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// openStream opens a stream and sends first over it. The stream ends with ctx;
// close waits for that.
func openStream(ctx context.Context, s *session, first []*pb.WatchRequest) (*stream, error) {
	// gRPC tells the server of a deadline, which may then end the stream a
	// moment before we would: that would look like a broken connection.
	alive, cancelAlive := context.WithCancel(context.WithoutCancel(ctx))
	detach := context.AfterFunc(ctx, cancelAlive)
	cancel := func() {
		detach()
		cancelAlive()
	}
	ctx = clientv3.WithRequireLeader(alive)
	rpc, err := s.watch.Watch(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	st := &stream{
		in: make(chan *pb.WatchResponse),
		// Room for what one message can make us send.
		out:    make(chan *pb.WatchRequest, 4),
		cancel: cancel,
	}
	st.wg.Go(func() {
		defer close(st.in)
		for {
			resp, err := rpc.Recv()
			if err != nil {
				st.err = err
				return
			}
			select {
			case st.in <- resp:
			case <-ctx.Done():
				st.err = ctx.Err()
				return
			}
		}
	})
	st.wg.Go(func() {
		for _, req := range first {
			if rpc.Send(req) != nil {
				// Recv has the reason.
				return
			}
		}
		for {
			select {
			case req := <-st.out:
				if rpc.Send(req) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return st, nil
}

// send sends req unless so much waits to be sent already that etcd seems to
// take nothing.
func (st *stream) send(req *pb.WatchRequest) bool {
	select {
	case st.out <- req:
		return true
	default:
		return false
	}
}

func (st *stream) close() {
	st.cancel()
	st.wg.Wait()
}

func createRequest(r keyRange, revision int64, filters ...pb.WatchCreateRequest_FilterType) *pb.WatchRequest {
	create := &pb.WatchCreateRequest{Key: []byte(r.key), StartRevision: revision, Filters: filters}
	if r.end != "" {
		create.RangeEnd = []byte(r.end)
	}
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
}

func cancelRequest(id int64) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}
}

func progressRequest() *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
}
