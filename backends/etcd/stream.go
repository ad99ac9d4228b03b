package etcd

import (
	"context"
	"math/rand/v2"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// stream is one watch stream. Two goroutines serve it, one for each direction,
// so that neither waits for the other: etcd stops reading while its answers
// are not taken.
type stream struct {
	// in yields what etcd sends. It is closed at the end of the stream, after err
	// is set.
	in  chan *pb.WatchResponse
	err error

	mu    sync.Mutex
	queue []*pb.WatchRequest // to be sent
	wake  chan struct{}      // holds a value once queue has grown

	end func()
	wg  sync.WaitGroup
}

// openStream opens a stream. It ends with ctx; close waits for that.
func openStream(ctx context.Context, c *Client) (*stream, error) {
	// Without the deadline of ctx, of which gRPC would tell the server: it could
	// end the stream a moment earlier than we do, as if the connection broke.
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, cancel)
	end := func() {
		forget()
		cancel()
	}
	ctx = clientv3.WithRequireLeader(alive)
	rpc, err := c.watch.Watch(ctx)
	if err != nil {
		end()
		return nil, err
	}
	st := &stream{in: make(chan *pb.WatchResponse), wake: make(chan struct{}, 1), end: end}
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
		for {
			select {
			case <-st.wake:
			case <-ctx.Done():
				return
			}
			st.mu.Lock()
			queue := st.queue
			st.queue = nil
			st.mu.Unlock()
			for _, req := range queue {
				if rpc.Send(req) != nil {
					// Recv has the reason.
					return
				}
			}
		}
	})
	return st, nil
}

// turn has gRPC, which takes the nodes in turn, skip some at random. Otherwise each stream
// could end up at the same member, one that does not advance, because there may be as many
// requests between two streams as there are nodes.
func (c *Client) turn(ctx context.Context) error {
	nodes, err := c.connect(ctx)
	if err != nil {
		return err
	}
	for range rand.N(nodes) {
		once, cancel := context.WithCancel(ctx)
		_, err := c.watch.Watch(once)
		cancel()
		if err != nil {
			return c.explain(ctx, err)
		}
	}
	return nil
}

// send never blocks.
func (st *stream) send(req *pb.WatchRequest) {
	st.mu.Lock()
	st.queue = append(st.queue, req)
	st.mu.Unlock()
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

func (st *stream) close() {
	st.end()
	st.wg.Wait()
}

func createRequest(r keyRange, revision int64, filters ...pb.WatchCreateRequest_FilterType) *pb.WatchRequest {
	// Without the option for fragments a message holds whole revisions.
	create := &pb.WatchCreateRequest{Key: []byte(r.key), StartRevision: revision, Filters: filters}
	if r.end != "" {
		create.RangeEnd = []byte(r.end)
	}
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
}

func cancelRequest(id int64) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}
}
