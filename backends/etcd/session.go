package etcd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
)

const (
	// keepaliveTime and keepaliveTimeout close a connection whose far side is
	// gone after 13 s at most. etcd answers pings more frequent than every 5 s
	// by hanging up, and gRPC allows no less than 10 s.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
	// retryPause lies between two attempts of a request that etcd could not
	// serve just then.
	retryPause = 50 * time.Millisecond
)

// session is one set of connections to the nodes. It reconnects by itself while
// a part of the nodes is away. When no node can be reached it is dropped for a
// new one, which tries all nodes at once, asks DNS again and does not sit out
// gRPC's backoff.
type session struct {
	cfg      Config
	client   *clientv3.Client
	conn     *grpc.ClientConn
	nodes    []string
	kv       pb.KVClient
	watch    pb.WatchClient
	auth     pb.AuthClient
	token    *token
	failures *failures

	users int // guarded by Client.mu
}

// newSession does not wait for the connections: they are made by the first
// request.
func newSession(cfg Config, nodes []string, certs *certificates) (*session, error) {
	s := &session{cfg: cfg, nodes: nodes, failures: &failures{}, token: newToken()}
	if scheme(nodes[0]) == "http" {
		certs = nil
	}
	dialer := &net.Dialer{Timeout: cfg.DialTimeout}
	var err error
	s.client, err = clientv3.New(clientv3.Config{
		Endpoints: nodes,
		// clientv3 would retry a request a hundred times, and each time that a
		// token is not accepted, although it does not know the password.
		MaxUnaryRetries: 1,
		Logger:          zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithTransportCredentials(&transport{certs: certs, failures: s.failures}),
			grpc.WithPerRPCCredentials(s.token),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, "tcp", addr)
				if err != nil {
					s.failures.add(addr, err)
				}
				return conn, err
			}),
			grpc.WithConnectParams(grpc.ConnectParams{
				MinConnectTimeout: cfg.DialTimeout,
				Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			}),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
			// A page of keys may be large; etcd itself sets no limit.
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("configure etcd: %w", err)
	}
	s.conn = s.client.ActiveConnection()
	s.kv = pb.NewKVClient(s.conn)
	s.watch = pb.NewWatchClient(s.conn)
	s.auth = pb.NewAuthClient(s.conn)
	return s, nil
}

func (s *session) close() {
	// What Close reports is that the client's context is over, always.
	_ = s.client.Close()
}

// request makes one request and repeats it where another attempt can help: at
// another node if one did not answer or has no leader, with a new token if the
// old one is not accepted any more. Attempts are bounded by their number, and
// each by Config.RequestTimeout.
func request[Resp any](ctx context.Context, s *session, call func(context.Context) (Resp, error)) (Resp, error) {
	var none Resp
	if err := s.login(ctx); err != nil {
		return none, err
	}
	renewed := false
	for left := 2 * len(s.nodes); ; left-- {
		used := s.token.get()
		resp, err := attempt(ctx, s, call)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return none, s.explain(ctx, err)
		}
		switch class := classify(err); {
		case class == tokenRefused && s.cfg.Username != "" && !renewed:
			renewed = true
			if err := s.renew(ctx, used); err != nil {
				return none, err
			}
		case (class == unavailable || class == timedOut && len(s.nodes) > 1) && left > 1 && s.conn.GetState() != connectivity.TransientFailure:
			select {
			case <-time.After(retryPause):
			case <-ctx.Done():
				return none, s.explain(ctx, err)
			}
		default:
			return none, s.explain(ctx, err)
		}
	}
}

func attempt[Resp any](ctx context.Context, s *session, call func(context.Context) (Resp, error)) (Resp, error) {
	// A member without a leader refuses at once instead of making us wait.
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), s.cfg.RequestTimeout)
	defer cancel()
	resp, err := call(ctx)
	if classify(err) == timedOut {
		awaitDeadline(ctx)
	}
	return resp, err
}

// awaitDeadline lets ctx end first if etcd, which is told of the deadline, was a
// moment faster.
func awaitDeadline(ctx context.Context) {
	const moment = 100 * time.Millisecond
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < moment {
		<-ctx.Done()
	}
}

// explain turns the last error of a request into one for people: it says why
// no node could be reached if that was it, and wraps the error of ctx if that
// is done.
func (s *session) explain(ctx context.Context, err error) error {
	f := &failure{class: classify(err)}
	switch ours := !fromServer(err); {
	case ours && ctx.Err() != nil && s.failures.none():
		f.err = fmt.Errorf("ask etcd: no answer yet")
	case ours && f.class == timedOut && s.failures.none():
		f.broken = true
		f.err = fmt.Errorf("ask etcd: no answer within %v: %w", s.cfg.RequestTimeout, plainError{err})
	case ours && (f.class == unavailable || f.class == timedOut || f.class == canceled):
		f.broken = true
		f.err = s.failures.wrap(err)
	default:
		f.err = fmt.Errorf("ask etcd: %w", plainError{err})
	}
	if ctx.Err() == nil {
		return f
	}
	f.class, f.broken = canceled, false
	if err := over(ctx); errors.Is(err, errClosed) {
		return err
	}
	return &interrupted{ctx: ctx.Err(), last: f}
}
