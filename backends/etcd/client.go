// Package etcd reads and follows keys in etcd (API v3, servers from 3.4 on).
//
// Load reads all that is asked for at one revision, in pages and with few
// round trips; Follow watches it from there over a single stream. Neither
// retries by itself what the caller must decide about. Package
// clientv3 makes the connections and balances between the nodes; its watcher is
// not used, because it reconnects in silence, and an etcd that came back with
// another history or a lower revision must not pass unnoticed.
//
// The user that Config names needs read permission on what lies below the paths
// and on nothing else.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"pc4patroni/backends"
)

// errClosed ends calls under way when the client is closed.
var errClosed = errors.New("the etcd client is closed")

// Client is a connection to one etcd cluster. It is made when it is first
// needed, and made anew after it broke.
type Client struct {
	cfg   Config
	nodes []string      // empty when DNS is asked
	certs *certificates // nil if there are no TLS options
	log   *slog.Logger

	// dialing is held, by a value in it, by whoever makes a session.
	dialing chan struct{}

	mu      sync.Mutex
	current *session // nil before the first use and after a failure
	closed  bool
	calls   map[*call]bool
	under   sync.WaitGroup // calls under way
}

// call is one Load or Follow under way.
type call struct{ cancel context.CancelCauseFunc }

var _ backends.Backend = (*Client)(nil)

// New checks cfg and the files that it names. It does not connect: etcd may be
// away.
func New(cfg Config) (*Client, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.DialTimeout, cfg.RequestTimeout, cfg.Silence = cfg.timeouts()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure etcd: %w", err)
	}
	c := &Client{
		cfg:     cfg,
		log:     cfg.Logger,
		dialing: make(chan struct{}, 1),
		calls:   map[*call]bool{},
	}
	var err error
	if !cfg.usesSRV() {
		if c.nodes, err = cfg.nodes(); err != nil {
			return nil, fmt.Errorf("configure etcd: %w", err)
		}
	}
	// The files are read even where every node is http: a mistake in them
	// should not wait for the day when the nodes change.
	if c.certs, err = newCertificates(cfg); err != nil {
		return nil, fmt.Errorf("configure etcd: %w", err)
	}
	if opt := cfg.tlsOption(); opt != "" && len(c.nodes) > 0 && scheme(c.nodes[0]) == "http" {
		c.log.Warn("TLS option has no effect, the nodes are http", "option", opt, "node", c.nodes[0])
	}
	return c, nil
}

// Close ends the calls under way and closes the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	for call := range c.calls {
		call.cancel(errClosed)
	}
	c.mu.Unlock()
	c.under.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		c.current.close()
		c.current = nil
	}
	return nil
}

// begin makes a context that ends when the client is closed, too. The function
// that it returns must be called when the call ends.
func (c *Client) begin(ctx context.Context) (context.Context, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, errClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	k := &call{cancel}
	c.calls[k] = true
	c.under.Add(1)
	return ctx, func() {
		cancel(nil)
		c.mu.Lock()
		delete(c.calls, k)
		c.mu.Unlock()
		c.under.Done()
	}, nil
}

// acquire returns the current session, or makes one and says that it is fresh.
// The caller must release it.
func (c *Client) acquire(ctx context.Context) (s *session, fresh bool, err error) {
	select {
	case c.dialing <- struct{}{}:
	case <-ctx.Done():
		return nil, false, over(ctx)
	}
	defer func() { <-c.dialing }()
	c.mu.Lock()
	if s := c.current; s != nil {
		s.users++
		c.mu.Unlock()
		return s, false, nil
	}
	c.mu.Unlock()
	nodes := c.nodes
	if len(nodes) == 0 {
		if nodes, err = c.cfg.endpoints(ctx); err != nil {
			return nil, false, err
		}
		c.log.Debug("etcd nodes found by DNS", "nodes", nodes)
	}
	if s, err = newSession(c.cfg, nodes, c.certs); err != nil {
		return nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.users = 1
	c.current = s
	return s, true, nil
}

// release gives back what acquire returned. With broken set nobody else will
// get this session: the next call connects anew.
func (c *Client) release(s *session, broken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.users--
	if broken && c.current == s {
		c.current = nil
	}
	if s.users == 0 && c.current != s {
		s.close()
	}
}
