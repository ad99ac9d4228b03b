package etcd

import (
	"context"
	"errors"
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
	// maxRestarts is how often a load begins again because the revision that it
	// read at was compacted away.
	maxRestarts = 3
)

// Load implements [backends.Backend]. All ranges are read in as few round trips
// as their size allows, at the revision of the first.
func (c *Client) Load(ctx context.Context, paths []string) (backends.Snapshot, error) {
	pl, err := newPlan([][]string{paths})
	if err != nil {
		return backends.Snapshot{}, err
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return backends.Snapshot{}, err
	}
	defer end()
	for restarts, reconnects := 0, 0; ; {
		s, fresh, err := c.acquire(ctx)
		if err != nil {
			return backends.Snapshot{}, err
		}
		l := loader{s: s, values: make(map[string]string)}
		err = l.run(ctx, pl.ranges)
		broken := isBroken(err)
		c.release(s, broken)
		switch {
		case err == nil:
			return backends.Snapshot{Version: l.version, Values: l.values}, nil
		case ctx.Err() == nil && broken && !fresh && reconnects == 0:
			// The connection was made long ago and may have died unnoticed,
			// which says nothing about etcd.
			reconnects++
		case ctx.Err() == nil && errors.Is(err, errCompacted) && restarts < maxRestarts:
			restarts++
		default:
			return backends.Snapshot{}, err
		}
	}
}

// errCompacted is wrapped by the error of a load whose revision is gone.
var errCompacted = errors.New("the revision being read was compacted away")

// loader is one attempt to read a plan.
type loader struct {
	s       *session
	version backends.Version // zero until the first answer
	values  map[string]string
}

// run reads ranges, a batch of them at a time. What is left of a range that did
// not fit its page goes to the end of the queue.
func (l *loader) run(ctx context.Context, ranges []keyRange) error {
	for queue := slices.Clone(ranges); len(queue) > 0; {
		batch := queue[:min(len(queue), txnRanges)]
		rest, err := l.batch(ctx, batch)
		if err != nil {
			return err
		}
		queue = append(queue[len(batch):], rest...)
	}
	return nil
}

// batch reads one page of each range in one round trip and returns what is left
// of them. Where that is denied, or more than etcd allows in one request, it
// does with smaller ones.
func (l *loader) batch(ctx context.Context, batch []keyRange) (rest []keyRange, err error) {
	answers, err := l.read(ctx, batch)
	switch class := classOf(err); {
	case err == nil:
		for i, a := range answers {
			rest = append(rest, l.take(batch[i], a)...)
		}
		return rest, nil
	case len(batch) > 1 && (class == forbidden || class == tooManyOps):
		// A transaction is denied as a whole. Usually it is the optional keys
		// that may not be read, so they are read apart first.
		var parts [][]keyRange
		optional, must := split(batch)
		if len(optional) > 0 && len(must) > 0 {
			parts = [][]keyRange{must, optional}
		} else {
			parts = [][]keyRange{batch[:len(batch)/2], batch[len(batch)/2:]}
		}
		for _, part := range parts {
			more, err := l.batch(ctx, part)
			if err != nil {
				return nil, err
			}
			rest = append(rest, more...)
		}
		return rest, nil
	case class == forbidden && batch[0].optional:
		return nil, nil
	case class == forbidden || class == noUser:
		return nil, l.s.deny(class, batch[0])
	case class == compacted:
		return nil, fmt.Errorf("read %s from etcd: %w", batch[0], errCompacted)
	}
	return nil, err
}

// split divides a batch into its optional ranges and the others.
func split(batch []keyRange) (optional, must []keyRange) {
	for _, r := range batch {
		if r.optional {
			optional = append(optional, r)
		} else {
			must = append(must, r)
		}
	}
	return optional, must
}

// take keeps one answer and returns what is left of its range.
func (l *loader) take(r keyRange, a *pb.RangeResponse) []keyRange {
	for _, kv := range a.Kvs {
		l.values[string(kv.Key)] = string(kv.Value)
	}
	if !a.More || len(a.Kvs) == 0 {
		return nil
	}
	// The smallest key after the last one read.
	r.key = string(a.Kvs[len(a.Kvs)-1].Key) + "\x00"
	return []keyRange{r}
}

// read makes one request for a page of each range.
func (l *loader) read(ctx context.Context, batch []keyRange) ([]*pb.RangeResponse, error) {
	limit := max(pageKeys/len(batch), pageMin)
	requests := make([]*pb.RangeRequest, len(batch))
	for i, r := range batch {
		requests[i] = &pb.RangeRequest{
			Key:      []byte(r.key),
			RangeEnd: []byte(r.end),
			Limit:    int64(limit),
			Revision: l.version.Revision,
		}
	}
	var header *pb.ResponseHeader
	var answers []*pb.RangeResponse
	var err error
	if len(requests) == 1 {
		var resp *pb.RangeResponse
		resp, err = request(ctx, l.s, func(ctx context.Context) (*pb.RangeResponse, error) {
			return l.s.kv.Range(ctx, requests[0])
		})
		header, answers = resp.GetHeader(), []*pb.RangeResponse{resp}
	} else {
		txn := &pb.TxnRequest{}
		for _, r := range requests {
			txn.Success = append(txn.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}})
		}
		var resp *pb.TxnResponse
		resp, err = request(ctx, l.s, func(ctx context.Context) (*pb.TxnResponse, error) {
			return l.s.kv.Txn(ctx, txn)
		})
		header = resp.GetHeader()
		for _, r := range resp.GetResponses() {
			answers = append(answers, r.GetResponseRange())
		}
	}
	if err != nil {
		return nil, err
	}
	if len(answers) != len(batch) {
		return nil, fmt.Errorf("read etcd: %d answers to %d questions", len(answers), len(batch))
	}
	if l.version.Revision == 0 {
		l.version = backends.Version{Store: header.ClusterId, Revision: header.Revision}
	} else if header.ClusterId != l.version.Store {
		return nil, fmt.Errorf("read etcd: the nodes belong to different clusters: %x and %x", l.version.Store, header.ClusterId)
	}
	return answers, nil
}
