package etcd

import (
	"context"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"pc4patroni/backends"
)

const (
	// pageKeys is how many keys one round trip asks for, over all ranges in it.
	pageKeys = 2000
	// pageMin is how many keys it asks for of each range, at least: enough for
	// a whole cluster of Patroni's.
	pageMin = 32
	// txnRanges is how many ranges one round trip reads: etcd's default limit of
	// operations in a transaction.
	txnRanges = 128
	// maxRestarts is how often a read begins again because the revision that it
	// read at was compacted away.
	maxRestarts = 3
)

// Load implements [backends.Backend]. All that may be read is read in as few
// round trips as its size allows, at the revision of the first.
func (c *Client) Load(ctx context.Context, paths []string) ([]backends.Update, error) {
	if err := checkPaths(paths); err != nil {
		return nil, err
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	snap, err := c.read(ctx, slices.Compact(slices.Sorted(slices.Values(paths))))
	if err != nil {
		return nil, err
	}
	updates := make([]backends.Update, len(paths))
	for i, p := range paths {
		updates[i] = backends.Update{Path: p, Version: makeVersion(snap.cluster, snap.revision), Keys: snap.keys[p]}
		if snap.denied[p] {
			updates[i] = backends.Update{Path: p, Denied: c.denied(p)}
		}
	}
	return updates, nil
}

// snapshot is what one read found.
type snapshot struct {
	cluster  uint64
	revision int64 // 0 if everything was denied
	keys     map[string]map[string]string
	denied   map[string]bool
}

// read reads paths, each named once, at one revision.
func (c *Client) read(ctx context.Context, paths []string) (*snapshot, error) {
	for restarts := 0; ; restarts++ {
		r := reader{c: c, snap: &snapshot{keys: make(map[string]map[string]string, len(paths)), denied: map[string]bool{}}}
		err := r.all(ctx, paths)
		if err == nil {
			return r.snap, nil
		}
		if classify(err) != compacted || restarts == maxRestarts {
			return nil, err
		}
	}
}

// reader is one attempt to read.
type reader struct {
	c    *Client
	snap *snapshot
}

// page is what is left to read of a path.
type page struct {
	path string
	keyRange
}

// all reads paths, a batch of pages at a time. What is left of a path that did
// not fit its page goes to the end of the queue.
func (r *reader) all(ctx context.Context, paths []string) error {
	var queue []page
	for _, p := range paths {
		queue = append(queue, page{p, rangeOf(p)})
	}
	for len(queue) > 0 {
		batch := queue[:min(len(queue), txnRanges)]
		rest, err := r.batch(ctx, batch)
		if err != nil {
			return err
		}
		queue = append(queue[len(batch):], rest...)
	}
	return nil
}

// batch reads pages in one round trip and returns what is left of their paths.
// Where etcd denies that, or allows fewer in one request, it reads them in
// halves: a transaction is denied as a whole.
func (r *reader) batch(ctx context.Context, batch []page) (rest []page, err error) {
	answers, err := r.request(ctx, batch)
	switch class := classify(err); {
	case err == nil:
		for i, a := range answers {
			rest = append(rest, r.take(batch[i], a)...)
		}
		return rest, nil
	case len(batch) > 1 && (class == forbidden || class == tooManyOps):
		for _, half := range [][]page{batch[:len(batch)/2], batch[len(batch)/2:]} {
			more, err := r.batch(ctx, half)
			if err != nil {
				return nil, err
			}
			rest = append(rest, more...)
		}
		return rest, nil
	case class == forbidden:
		r.snap.denied[batch[0].path] = true
		delete(r.snap.keys, batch[0].path)
		return nil, nil
	case class == noUser:
		return nil, r.c.noUserError()
	}
	return nil, err
}

// take keeps one answer and returns what is left of its path.
func (r *reader) take(p page, a *pb.RangeResponse) []page {
	keys := r.snap.keys[p.path]
	if keys == nil {
		keys = make(map[string]string, len(a.Kvs))
		r.snap.keys[p.path] = keys
	}
	for _, kv := range a.Kvs {
		keys[string(kv.Key)] = string(kv.Value)
	}
	if !a.More || len(a.Kvs) == 0 {
		return nil
	}
	// The smallest key after the last one read.
	p.key = string(a.Kvs[len(a.Kvs)-1].Key) + "\x00"
	return []page{p}
}

// request makes one request for a batch of pages.
func (r *reader) request(ctx context.Context, batch []page) ([]*pb.RangeResponse, error) {
	limit := max(pageKeys/len(batch), pageMin)
	txn := &pb.TxnRequest{}
	for _, p := range batch {
		txn.Success = append(txn.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{
			Key: []byte(p.key), RangeEnd: []byte(p.end), Limit: int64(limit), Revision: r.snap.revision,
		}}})
	}
	resp, err := request(ctx, r.c, func(ctx context.Context) (*pb.TxnResponse, error) { return r.c.kv.Txn(ctx, txn) })
	if err != nil {
		return nil, err
	}
	header := resp.Header
	var answers []*pb.RangeResponse
	for _, a := range resp.Responses {
		answers = append(answers, a.GetResponseRange())
	}
	if len(answers) != len(batch) {
		return nil, fmt.Errorf("read etcd: %d answers to %d questions", len(answers), len(batch))
	}
	if !sameCluster(r.snap.cluster, header.GetClusterId()) {
		return nil, fmt.Errorf("read etcd: the nodes belong to different clusters: %x and %x", r.snap.cluster, header.GetClusterId())
	}
	if r.snap.revision == 0 {
		r.snap.cluster, r.snap.revision = header.GetClusterId(), header.GetRevision()
	}
	return answers, nil
}
