package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/credentials"

	"pc4patroni/backends"
)

// token is what a login gave us. It goes along with every other request.
type token struct {
	mu    sync.Mutex
	value string
	// valid is false before the first login. A token may be valid and empty,
	// where etcd wants none.
	valid bool
	// renewing is held, by a value in it, by whoever logs in.
	renewing chan struct{}
}

var _ credentials.PerRPCCredentials = (*token)(nil)

func newToken() *token { return &token{renewing: make(chan struct{}, 1)} }

func (t *token) get() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.value
}

func (t *token) ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.valid
}

func (t *token) set(value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.value, t.valid = value, true
}

// withoutToken marks the context of a request that the token must not go along
// with: a login, which up to etcd 3.4 fails if it comes with a token that has expired.
type withoutToken struct{}

func (t *token) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	if value := t.get(); value != "" && ctx.Value(withoutToken{}) == nil {
		return map[string]string{rpctypes.TokenFieldNameGRPC: value}, nil
	}
	return nil, nil
}

// RequireTransportSecurity is false because etcd's users work without TLS.
func (t *token) RequireTransportSecurity() bool { return false }

// login gets the first token, if there is a user to log in.
func (c *Client) login(ctx context.Context, nodes int) error {
	if c.cfg.Username == "" || c.token.ready() {
		return nil
	}
	return c.renew(ctx, nodes, "")
}

// renew replaces the token stale, which etcd does not accept any more. Of
// several callers with the same stale token one logs in.
func (c *Client) renew(ctx context.Context, nodes int, stale string) error {
	select {
	case c.token.renewing <- struct{}{}:
	case <-ctx.Done():
		return over(ctx)
	}
	defer func() { <-c.token.renewing }()
	if c.token.ready() && c.token.get() != stale {
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
		c.token.set(resp.Token)
		return nil
	case classify(err) == loginRefused:
		return fmt.Errorf("log in to etcd as user %q: %w: wrong user name or password: check username and %s", c.cfg.Username, backends.ErrDenied, c.cfg.passwordOption())
	case errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled):
		// Who may do anything needs no token.
		c.token.set("")
		return nil
	}
	return err
}

func (c Config) passwordOption() string {
	if c.PasswordFile != "" {
		return "password-file " + c.PasswordFile
	}
	return "password"
}

// denied makes the error for a path that etcd does not let us read.
func (c *Client) denied(path string) error {
	return fmt.Errorf("read %q from etcd %s: %w: its role needs read permission on it (etcdctl role grant-permission ROLE read %s)",
		path, c.cfg.who(), backends.ErrDenied, rangeOf(path).grant())
}

// noUserError makes the error of an etcd that wants a user and got none.
func (c *Client) noUserError() error {
	return fmt.Errorf("read etcd %s: %w: etcd wants a user: set username and password-file", c.cfg.who(), backends.ErrDenied)
}

// who is how the client introduces itself to etcd.
func (c Config) who() string {
	switch {
	case c.Username != "":
		return fmt.Sprintf("as user %q", c.Username)
	case c.ClientCert != "":
		return "with client-cert " + c.ClientCert
	}
	return "without a user"
}
