package etcd

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// simStore is an etcd of three members as its clients see it: revisions, linearizable
// reads, watch streams, compaction, restore, tokens and permissions. The time that
// messages take is virtual.
type simStore struct {
	mu        sync.Mutex
	random    *rand.Rand
	cluster   uint64
	proxied   bool // some headers lack the cluster ID, as behind etcd's grpc-proxy
	states    []map[string]string
	events    [][]*mvccpb.Event // of each revision
	compacted int64
	truth     map[uint64][][]map[string]string // states of each history that a cluster ID has had
	members   []*simMember
	next      int // the member that is asked next

	auth    bool
	tokens  int
	authRev int
	denied  string // prefix that the user may not read

	reads int
}

// simMember is one member.
type simMember struct {
	applied      int64
	down, frozen bool
	cut          bool // off from the other members
	sticks       bool // does not apply what it gets, and does not know it
	streams      map[*simStream]bool
	tokens       map[string]int // with the revision of the permissions
}

func newSimStore(random *rand.Rand) *simStore {
	s := &simStore{random: random, truth: map[uint64][][]map[string]string{}}
	for range 3 {
		s.members = append(s.members, &simMember{streams: map[*simStream]bool{}, tokens: map[string]int{}})
	}
	s.begin(1, map[string]string{}, 1)
	return s
}

// begin starts a history: a new store, or one that was restored.
func (s *simStore) begin(cluster uint64, state map[string]string, revision int64) {
	s.cluster, s.compacted = cluster, revision
	s.states, s.events = make([]map[string]string, revision+1), make([][]*mvccpb.Event, revision+1)
	s.states[revision] = state
	s.truth[cluster] = append(s.truth[cluster], s.states)
	for _, m := range s.members {
		m.applied = revision
		clear(m.tokens)
		s.endStreams(m)
	}
}

func (s *simStore) head() int64 { return int64(len(s.states) - 1) }

// txn puts keys, or deletes those with an empty value, in one revision.
func (s *simStore) txn(pairs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, revision := maps.Clone(s.states[s.head()]), s.head()+1
	var events []*mvccpb.Event
	for i := 0; i < len(pairs); i += 2 {
		ev := &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte(pairs[i]), Value: []byte(pairs[i+1]), ModRevision: revision}}
		if pairs[i+1] != "" {
			state[pairs[i]] = pairs[i+1]
		} else if _, there := state[pairs[i]]; there {
			ev.Type, ev.Kv.Value = mvccpb.Event_DELETE, nil
			delete(state, pairs[i])
		} else {
			continue
		}
		events = append(events, ev)
	}
	if len(events) == 0 {
		return
	}
	s.states, s.events = append(s.states, state), append(s.events, events)
	histories := s.truth[s.cluster]
	histories[len(histories)-1] = s.states
	for _, m := range s.members {
		time.AfterFunc(time.Duration(s.random.IntN(30))*time.Millisecond, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.advance(m)
		})
	}
}

// advance has a member apply all that there is, if it can, and tell its watchers.
func (s *simStore) advance(m *simMember) {
	if m.down || m.frozen || m.cut || m.sticks {
		return
	}
	m.applied = max(m.applied, s.head())
	for st := range m.streams {
		s.feed(st)
	}
}

// feed sends a stream the events that its watchers lack.
func (s *simStore) feed(st *simStream) {
	for _, id := range slices.Sorted(maps.Keys(st.watchers)) {
		w := st.watchers[id]
		if w.next <= s.compacted && w.next <= st.member.applied && !w.filtered {
			st.answer(&pb.WatchResponse{Header: s.header(st.member), WatchId: id, Canceled: true, CompactRevision: s.compacted})
			delete(st.watchers, id)
			continue
		}
		var events []*mvccpb.Event
		for ; w.next <= st.member.applied; w.next++ {
			for _, ev := range s.events[w.next] {
				if covers(w.keyRange, string(ev.Kv.Key)) && !w.filtered {
					events = append(events, ev)
				}
			}
			if len(events) > 0 && s.random.IntN(3) == 0 {
				st.answer(&pb.WatchResponse{Header: s.header(st.member), WatchId: id, Events: events})
				events = nil
			}
		}
		if len(events) > 0 {
			st.answer(&pb.WatchResponse{Header: s.header(st.member), WatchId: id, Events: events})
		}
	}
}

func covers(r keyRange, key string) bool {
	if r.end == "" {
		return key == r.key
	}
	return key >= r.key && key < r.end
}

func (s *simStore) header(m *simMember) *pb.ResponseHeader {
	h := &pb.ResponseHeader{ClusterId: s.cluster, Revision: m.applied}
	if s.proxied && s.random.IntN(2) == 0 {
		h.ClusterId, h.Revision = 0, 0
	}
	return h
}

func (s *simStore) endStreams(m *simMember) {
	for st := range m.streams {
		st.end(status.Error(codes.Unavailable, "error reading from server: EOF"))
	}
	clear(m.streams)
}

func (s *simStore) quorum() bool {
	n := 0
	for _, m := range s.members {
		if !m.down && !m.frozen && !m.cut {
			n++
		}
	}
	return n >= 2
}

// pick returns a member that accepts connections.
func (s *simStore) pick() (*simMember, error) {
	for range s.members {
		s.next = (s.next + 1) % len(s.members)
		if m := s.members[s.next]; !m.down {
			return m, nil
		}
	}
	return nil, status.Error(codes.Unavailable, "connection error: desc = \"transport: Error while dialing: connection refused\"")
}

// ask has a member handle a request when it can: it may be frozen, or behind.
func (s *simStore) ask(ctx context.Context, linearizable bool, handle func(*simMember) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.pick()
	if err != nil {
		return err
	}
	if !s.sleep(ctx, time.Duration(s.random.IntN(10))*time.Millisecond) {
		return status.FromContextError(ctx.Err()).Err()
	}
	asked := s.head()
	for {
		switch {
		case m.down:
			return status.Error(codes.Unavailable, "error reading from server: EOF")
		case m.cut || !s.quorum() && !m.frozen:
			return rpctypes.ErrGRPCNoLeader
		case !m.frozen && (!linearizable || m.applied >= min(asked, s.head())):
			return handle(m)
		}
		if !s.sleep(ctx, 50*time.Millisecond) {
			return status.FromContextError(ctx.Err()).Err()
		}
		s.advance(m)
	}
}

// sleep lets others work, and tells whether ctx is still going on.
func (s *simStore) sleep(ctx context.Context, d time.Duration) bool {
	s.mu.Unlock()
	defer s.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// permit tells whether a token may read a range.
func (s *simStore) permit(m *simMember, token string, r keyRange) error {
	if !s.auth {
		return nil
	}
	revision, known := m.tokens[token]
	switch {
	case !known:
		return rpctypes.ErrGRPCInvalidAuthToken
	case revision != s.authRev:
		return rpctypes.ErrGRPCAuthOldRevision
	case s.denied != "" && (strings.HasPrefix(r.key, s.denied) || covers(r, s.denied)):
		return rpctypes.ErrGRPCPermissionDenied
	}
	return nil
}

// simClient is the three services of the store, as one client uses them.
type simClient struct {
	pb.KVClient
	pb.AuthClient
	s     *simStore
	token *token
}

func (c *simClient) value() string {
	if value := c.token.value.Load(); value != nil {
		return *value
	}
	return ""
}

func (c *simClient) Authenticate(ctx context.Context, _ *pb.AuthenticateRequest, _ ...grpc.CallOption) (resp *pb.AuthenticateResponse, err error) {
	err = c.s.ask(ctx, true, func(*simMember) error {
		if !c.s.auth {
			return rpctypes.ErrGRPCAuthNotEnabled
		}
		c.s.tokens++
		token := fmt.Sprint(c.s.tokens)
		for _, m := range c.s.members {
			if !m.down {
				m.tokens[token] = c.s.authRev
			}
		}
		resp = &pb.AuthenticateResponse{Token: token}
		return nil
	})
	return resp, err
}

func (c *simClient) Range(ctx context.Context, req *pb.RangeRequest, _ ...grpc.CallOption) (resp *pb.RangeResponse, err error) {
	err = c.s.ask(ctx, !req.Serializable, func(m *simMember) error {
		c.s.reads++
		resp, err = c.s.read(m, c.value(), req)
		return err
	})
	return resp, err
}

func (c *simClient) Txn(ctx context.Context, req *pb.TxnRequest, _ ...grpc.CallOption) (resp *pb.TxnResponse, err error) {
	err = c.s.ask(ctx, true, func(m *simMember) error {
		c.s.reads++
		resp = &pb.TxnResponse{Header: c.s.header(m)}
		for _, op := range req.Success {
			one, err := c.s.read(m, c.value(), op.GetRequestRange())
			if err != nil {
				return err
			}
			resp.Responses = append(resp.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: one}})
		}
		// A transaction's header is not one that a proxy makes up.
		resp.Header = &pb.ResponseHeader{ClusterId: c.s.cluster, Revision: m.applied}
		return nil
	})
	return resp, err
}

func (s *simStore) read(m *simMember, token string, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	r := keyRange{string(req.Key), string(req.RangeEnd)}
	if err := s.permit(m, token, r); err != nil {
		return nil, err
	}
	revision := req.Revision
	switch {
	case revision == 0:
		revision = m.applied
	case revision < s.compacted:
		return nil, rpctypes.ErrGRPCCompacted
	case revision > m.applied:
		return nil, rpctypes.ErrGRPCFutureRev
	}
	resp := &pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: s.cluster, Revision: m.applied}}
	for _, key := range slices.Sorted(maps.Keys(s.states[revision])) {
		if !covers(r, key) {
			continue
		}
		if resp.Count++; req.CountOnly {
			continue
		}
		if req.Limit > 0 && int64(len(resp.Kvs)) == min(req.Limit, 3) { // small pages, so that there are many
			resp.More = true
			continue
		}
		resp.Kvs = append(resp.Kvs, &mvccpb.KeyValue{Key: []byte(key), Value: []byte(s.states[revision][key])})
	}
	return resp, nil
}

// simStream is a watch stream, both ends.
type simStream struct {
	grpc.ClientStream
	ctx      context.Context
	s        *simStore
	member   *simMember
	token    string
	watchers map[int64]*simWatcher
	lastID   int64
	out      []*pb.WatchResponse
	err      error
	wake     chan struct{} // holds a value if there is something to receive
}

type simWatcher struct {
	keyRange
	next     int64
	filtered bool
}

func (c *simClient) Watch(ctx context.Context, _ ...grpc.CallOption) (pb.Watch_WatchClient, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	m, err := c.s.pick()
	if err != nil {
		return nil, err
	}
	st := &simStream{ctx: ctx, s: c.s, member: m, token: c.value(), watchers: map[int64]*simWatcher{}, wake: make(chan struct{}, 1)}
	m.streams[st] = true
	context.AfterFunc(ctx, func() {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		delete(m.streams, st)
		st.end(status.FromContextError(ctx.Err()).Err())
	})
	if m.cut {
		c.s.loseLeader(m)
	}
	return st, nil
}

// loseLeader ends the streams of a member that finds no leader.
func (s *simStore) loseLeader(m *simMember) {
	time.AfterFunc(3*time.Second, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if m.cut && !m.frozen {
			for st := range m.streams {
				st.end(rpctypes.ErrGRPCNoLeader)
			}
			clear(m.streams)
		}
	})
}

func (st *simStream) end(err error) {
	if st.err == nil {
		st.err = err
	}
	st.wakeUp()
}

func (st *simStream) wakeUp() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// answer sends to the client, now or when the member thaws.
func (st *simStream) answer(resp *pb.WatchResponse) {
	st.out = append(st.out, resp)
	st.wakeUp()
}

func (st *simStream) Recv() (*pb.WatchResponse, error) {
	for {
		st.s.mu.Lock()
		if len(st.out) > 0 && !st.member.frozen {
			resp := st.out[0]
			st.out = st.out[1:]
			st.s.mu.Unlock()
			return resp, nil
		}
		err := st.err
		st.s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-st.wake:
		case <-time.After(100 * time.Millisecond): // it may have thawed
		}
	}
}

func (st *simStream) Send(req *pb.WatchRequest) error {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if st.err != nil {
		return st.err
	}
	for st.member.frozen {
		if !st.s.sleep(st.ctx, 100*time.Millisecond) {
			return st.ctx.Err()
		}
	}
	switch r := req.RequestUnion.(type) {
	case *pb.WatchRequest_CreateRequest:
		st.create(r.CreateRequest)
	case *pb.WatchRequest_CancelRequest:
		delete(st.watchers, r.CancelRequest.WatchId)
		st.answer(&pb.WatchResponse{Header: st.s.header(st.member), WatchId: r.CancelRequest.WatchId, Canceled: true})
	}
	return nil
}

func (st *simStream) create(req *pb.WatchCreateRequest) {
	s := st.s
	r := keyRange{string(req.Key), string(req.RangeEnd)}
	if err := s.permit(st.member, st.token, r); err != nil {
		// etcd gives this one reason for all of them.
		st.answer(&pb.WatchResponse{Header: s.header(st.member), WatchId: -1, Created: true, Canceled: true, CancelReason: rpctypes.ErrGRPCPermissionDenied.Error()})
		return
	}
	w := &simWatcher{keyRange: r, next: req.StartRevision, filtered: len(req.Filters) > 0}
	if w.next == 0 {
		w.next = st.member.applied + 1
	}
	st.lastID++
	st.watchers[st.lastID] = w
	st.answer(&pb.WatchResponse{Header: s.header(st.member), WatchId: st.lastID, Created: true})
	s.feed(st)
}
