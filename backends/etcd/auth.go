package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/credentials"

	"pc4patroni/backends"
)

// token is what a login returned. Every other request carries it.
type token struct {
	// value is nil before the first login, and empty where etcd wants no token.
	value atomic.Pointer[string]
	// renewing is held, by a value in it, during a login.
	renewing chan struct{}
}

var _ credentials.PerRPCCredentials = (*token)(nil)

func newToken() *token { return &token{renewing: make(chan struct{}, 1)} }

// withoutToken marks the context of a login, which must not carry the old token:
// etcd 3.4 rejects a login with an expired one.
type withoutToken struct{}

func (t *token) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	if value := t.value.Load(); value != nil && *value != "" && ctx.Value(withoutToken{}) == nil {
		return map[string]string{rpctypes.TokenFieldNameGRPC: *value}, nil
	}
	return nil, nil
}

// RequireTransportSecurity is false because etcd's users work without TLS.
func (t *token) RequireTransportSecurity() bool { return false }

// login replaces the stale token: one that etcd no longer accepts, or nil before
// the first login. Of several callers with the same stale token one logs in.
// Without a user it does nothing.
func (c *Client) login(ctx context.Context, nodes int, stale *string) error {
	if c.cfg.Username == "" || c.token.value.Load() != stale {
		return nil
	}
	select {
	case c.token.renewing <- struct{}{}:
	case <-ctx.Done():
		return over(ctx)
	}
	defer func() { <-c.token.renewing }()
	if c.token.value.Load() != stale {
		return nil
	}
	password, err := c.cfg.password()
	if err != nil {
		return err
	}
	var resp *pb.AuthenticateResponse
	err = c.retry(ctx, nodes, func(ctx context.Context) (err error) {
		resp, err = c.auth.Authenticate(context.WithValue(ctx, withoutToken{}, true), &pb.AuthenticateRequest{Name: c.cfg.Username, Password: password})
		return err
	})
	switch {
	case err == nil:
		c.token.value.Store(&resp.Token)
		return nil
	case classify(err) == loginRefused:
		return fmt.Errorf("log in to etcd as user %q: %w: wrong user name or password: check username and password", c.cfg.Username, backends.ErrDenied)
	case errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled):
		// Without authentication no request needs a token.
		c.token.value.Store(new(string))
		return nil
	}
	return err
}
