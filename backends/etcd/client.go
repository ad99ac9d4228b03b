// Package etcd reads and watches keys in etcd (API v3, servers from 3.4 on).
//
// A path is one range of keys. Load reads ranges in pages at one revision, in
// few round trips. Watch (watch.go) uses one stream with a watcher for each range:
// it resumes from the caller's revision (resume.go), delivers each event as it
// arrives, and resyncs beside the watch (resync.go).
//
// Package clientv3 makes the connections and balances between the nodes. Its
// watcher is not used: it reconnects silently, and would miss that etcd was
// replaced or restored from a backup.
//
// The user needs read permission on what the paths cover and on nothing else.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"

	"pc4patroni/backends"
)

const (
	// keepaliveTime and keepaliveTimeout close a connection to a node that is
	// gone after at most 13 s. etcd answers pings more frequent than every 5 s
	// by hanging up, and gRPC allows no less than 10 s.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
	// reconnectWait is how long a request waits for a connection that had failed.
	reconnectWait = 500 * time.Millisecond
)

// errClosed ends calls under way when the client is closed.
var errClosed = errors.New("the etcd client is closed")

// Client is a connection to one etcd cluster. It is made when it is first
// needed and lives as long as the Client: gRPC reconnects it.
type Client struct {
	cfg      Config
	certs    *certificates
	failures *failures
	token    *token

	// dialing is a mutex, held by a value in it, that one can stop waiting for.
	dialing chan struct{}

	// Set by the first connect, under dialing, and never changed.
	client *clientv3.Client
	conn   *grpc.ClientConn
	kv     pb.KVClient
	watch  pb.WatchClient
	auth   pb.AuthClient
	// nodes are the URLs of the nodes, guarded by dialing: DNS may change them.
	nodes []string

	life context.Context // over when the client is closed
	end  context.CancelCauseFunc
	mu   sync.Mutex // orders begin and Close
	// under counts the calls under way.
	under sync.WaitGroup
}

var _ backends.Backend = (*Client)(nil)

// New checks cfg and the files that it names. It does not connect: etcd may be
// away.
func New(cfg Config) (*Client, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure etcd: %w", err)
	}
	certs, err := newCertificates(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure etcd: %w", err)
	}
	c := &Client{cfg: cfg, certs: certs, failures: &failures{last: map[string]error{}}, token: newToken(), dialing: make(chan struct{}, 1)}
	c.life, c.end = context.WithCancelCause(context.Background())
	return c, nil
}

// Close ends the calls under way and closes the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	c.end(errClosed)
	c.mu.Unlock()
	c.under.Wait()
	c.dialing <- struct{}{}
	defer func() { <-c.dialing }()
	if c.client != nil {
		// What Close reports is that the client's context is over, always.
		_ = c.client.Close()
	}
	return nil
}

// begin makes a context that ends when the client is closed, too. The function
// that it returns must be called when the call ends.
func (c *Client) begin(ctx context.Context) (context.Context, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return nil, nil, errClosed
	}
	c.under.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	detach := context.AfterFunc(c.life, func() { cancel(errClosed) })
	return ctx, func() {
		detach()
		cancel(nil)
		c.under.Done()
	}, nil
}

// connect makes the connection, or retries one that has failed, and returns the
// number of nodes. It does not wait for a new connection: the first request does.
func (c *Client) connect(ctx context.Context) (nodes int, err error) {
	select {
	case c.dialing <- struct{}{}:
	case <-ctx.Done():
		return 0, over(ctx)
	}
	defer func() { <-c.dialing }()
	if c.conn != nil && c.conn.GetState() != connectivity.TransientFailure {
		return len(c.nodes), nil
	}
	found, err := c.cfg.endpoints(ctx)
	switch {
	case err != nil && c.conn == nil:
		return 0, err
	case err != nil:
		found = c.nodes // DNS is away, too
	case c.conn == nil:
		c.nodes = found
		return len(c.nodes), c.dial()
	}
	if scheme(found[0]) != scheme(c.nodes[0]) {
		return 0, fmt.Errorf("connect to etcd: DNS turned from %s to %s: restart the program if that is right", scheme(c.nodes[0]), scheme(found[0]))
	}
	if c.cfg.usesSRV() && !slices.Equal(found, c.nodes) {
		c.nodes = found
		c.failures.reset()
		c.client.SetEndpoints(found...)
	}
	// Try now rather than after gRPC's backoff, and give that a moment.
	c.conn.ResetConnectBackoff()
	wait, cancel := context.WithTimeout(ctx, reconnectWait)
	defer cancel()
	c.conn.WaitForStateChange(wait, connectivity.TransientFailure)
	return len(c.nodes), nil
}

func (c *Client) dial() error {
	c.cfg.Logger.Debug("etcd nodes", "nodes", c.nodes)
	var certs *certificates
	if scheme(c.nodes[0]) == "https" {
		certs = c.certs
	}
	dialer := &net.Dialer{Timeout: c.cfg.DialTimeout}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.nodes,
		// clientv3 would retry a request a hundred times, and each time that a
		// token is not accepted, although it does not know the password.
		MaxUnaryRetries: 1,
		Logger:          zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithTransportCredentials(newTransport(certs, c.failures)),
			grpc.WithPerRPCCredentials(c.token),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, "tcp", addr)
				if err != nil {
					c.failures.set(addr, err)
				}
				return conn, err
			}),
			grpc.WithConnectParams(grpc.ConnectParams{
				MinConnectTimeout: c.cfg.DialTimeout,
				Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			}),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
			// A page of keys may be large; etcd itself sets no limit.
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		},
	})
	if err != nil {
		return fmt.Errorf("configure etcd: %w", err)
	}
	c.client, c.conn = client, client.ActiveConnection()
	c.kv, c.watch, c.auth = pb.NewKVClient(c.conn), pb.NewWatchClient(c.conn), pb.NewAuthClient(c.conn)
	return nil
}
