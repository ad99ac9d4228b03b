package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

const (
	// retryPause is the longest pause before another node is asked. Pauses are
	// random: a fleet must not ask in step.
	retryPause = 100 * time.Millisecond
	// requestNodes is how many nodes may each keep a request waiting for
	// RequestTimeout before it fails: 25 s with the default of 5 s.
	requestNodes = 5
)

// request makes one request. It is repeated where another attempt can help: at
// another node if one does not answer or has no leader, with a new token if etcd
// rejects the old one.
func request[Resp any](ctx context.Context, c *Client, call func(context.Context) (Resp, error)) (resp Resp, err error) {
	err = c.authenticated(ctx, func(ctx context.Context) (err error) {
		resp, err = call(ctx)
		return err
	})
	if err != nil {
		return resp, c.explain(ctx, err)
	}
	return resp, nil
}

// authenticated connects and logs in as needed, and calls.
func (c *Client) authenticated(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestNodes*c.cfg.RequestTimeout)
	defer cancel()
	nodes, err := c.connect(ctx)
	if err != nil {
		return err
	}
	if err := c.login(ctx, nodes, nil); err != nil {
		return err
	}
	used := c.token.value.Load()
	err = c.retry(ctx, nodes, call)
	if classify(err) != tokenRefused || c.cfg.Username == "" {
		return err
	}
	if err := c.login(ctx, nodes, used); err != nil {
		return err
	}
	return c.retry(ctx, nodes, call)
}

// retry calls until that succeeds, fails for good, or has failed twice for each
// node. It returns the last error.
func (c *Client) retry(ctx context.Context, nodes int, call func(context.Context) error) error {
	for left := 2 * nodes; ; left-- {
		err := c.attempt(ctx, call)
		if err == nil || left <= 1 || ctx.Err() != nil || c.conn.GetState() == connectivity.TransientFailure {
			return err
		}
		if class := classify(err); class != unavailable && (class != timedOut || nodes == 1) {
			return err
		}
		select {
		case <-time.After(rand.N(retryPause)):
		case <-ctx.Done():
			return err
		}
	}
}

// attempt calls once.
func (c *Client) attempt(ctx context.Context, call func(context.Context) error) error {
	// A member without a leader must refuse at once rather than let us wait.
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), c.cfg.RequestTimeout)
	defer cancel()
	return call(ctx)
}

// explain makes the error of a request that users read: it says why no node
// could be reached, if that is the cause, and wraps the error of a ctx that is
// done.
func (c *Client) explain(ctx context.Context, err error) error {
	if errors.Is(over(ctx), errClosed) {
		return errClosed
	}
	class, ours := classify(err), !fromServer(err)
	switch _, fromGRPC := status.FromError(err); {
	case !fromGRPC && class == other:
		// It needs no explanation.
	case ours && ctx.Err() != nil && c.failures.none():
		err = errors.New("ask etcd: no answer yet")
	case ours && class == timedOut && c.failures.none():
		err = fmt.Errorf("ask etcd: no answer within %v: %w", c.cfg.RequestTimeout, plainError{err})
	case ours && (class == unavailable || class == timedOut || class == canceled):
		err = c.failures.wrap(err)
	default:
		err = fmt.Errorf("ask etcd: %w", plainError{err})
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", err, ctx.Err())
	}
	return err
}

// over returns why ctx, a context made by begin, is done.
func over(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errClosed) {
		return errClosed
	}
	return ctx.Err()
}
