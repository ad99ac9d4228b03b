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
	// requestNodes is how many nodes may let a request wait for RequestTimeout
	// before it fails: with five, and the default of 5 s, that is 25 s.
	requestNodes = 5
)

// request makes one request. It is repeated where another attempt can help: at
// another node if one did not answer or has no leader, with a new token if the
// old one is not accepted any more.
func request[Resp any](ctx context.Context, c *Client, call func(context.Context) (Resp, error)) (Resp, error) {
	var resp Resp
	bounded, cancel := context.WithTimeout(ctx, requestNodes*c.cfg.RequestTimeout)
	defer cancel()
	nodes, err := c.connect(bounded)
	if err != nil {
		return resp, c.explain(ctx, err)
	}
	if err := c.login(bounded, nodes, nil); err != nil {
		return resp, c.explain(ctx, err)
	}
	attempt := func(ctx context.Context) (err error) {
		resp, err = call(ctx)
		return err
	}
	used := c.token.value.Load()
	err = c.retry(bounded, nodes, attempt)
	if classify(err) == tokenRefused && c.cfg.Username != "" {
		if err := c.login(bounded, nodes, used); err != nil {
			return resp, c.explain(ctx, err)
		}
		err = c.retry(bounded, nodes, attempt)
	}
	if err != nil {
		return resp, c.explain(ctx, err)
	}
	return resp, nil
}

// retry calls until that works, fails for good, or no node is left to ask.
// It returns what the last call returned.
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
	// A member without a leader refuses at once instead of making us wait.
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), c.cfg.RequestTimeout)
	defer cancel()
	return call(ctx)
}

// explain turns the last error of a request into one for people: it says why
// no node could be reached if that was it, and wraps the error of ctx if that
// is done.
func (c *Client) explain(ctx context.Context, err error) error {
	if errors.Is(over(ctx), errClosed) {
		return errClosed
	}
	class, ours := classify(err), !fromServer(err)
	switch _, fromGRPC := status.FromError(err); {
	case !fromGRPC && class == other:
		// It speaks for itself.
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
