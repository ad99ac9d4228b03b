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

// login gets the first token of the session, if there is a user to log in.
func (s *session) login(ctx context.Context) error {
	if s.cfg.Username == "" || s.token.ready() {
		return nil
	}
	return s.renew(ctx, "")
}

// renew replaces the token stale, which etcd does not accept any more. Of
// several callers with the same stale token one logs in.
func (s *session) renew(ctx context.Context, stale string) error {
	select {
	case s.token.renewing <- struct{}{}:
	case <-ctx.Done():
		return over(ctx)
	}
	defer func() { <-s.token.renewing }()
	if s.token.ready() && s.token.get() != stale {
		return nil
	}
	password, err := s.cfg.password()
	if err != nil {
		return err
	}
	var resp *pb.AuthenticateResponse
	for left := 2 * len(s.nodes); ; left-- {
		resp, err = attempt(ctx, s, func(ctx context.Context) (*pb.AuthenticateResponse, error) {
			return s.auth.Authenticate(context.WithValue(ctx, withoutToken{}, true), &pb.AuthenticateRequest{Name: s.cfg.Username, Password: password})
		})
		if err == nil {
			s.token.set(resp.Token)
			return nil
		}
		if ctx.Err() != nil || left <= 1 || classify(err) != unavailable || !fromServer(err) {
			break
		}
	}
	switch {
	case classify(err) == loginRefused:
		return fmt.Errorf("log in to etcd as user %q: %w: wrong user name or password: check username and %s", s.cfg.Username, backends.ErrDenied, s.cfg.passwordOption())
	case errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled):
		// Who may do anything needs no token.
		s.token.set("")
		return nil
	}
	return fmt.Errorf("log in to etcd as user %q: %w", s.cfg.Username, s.explain(ctx, err))
}

func (c Config) passwordOption() string {
	if c.PasswordFile != "" {
		return "password-file " + c.PasswordFile
	}
	return "password"
}

// deny makes the error of a request for what that etcd refused.
func (s *session) deny(class class, r keyRange) error {
	who := "without a user"
	if s.cfg.Username != "" {
		who = fmt.Sprintf("as user %q", s.cfg.Username)
	} else if s.cfg.ClientCert != "" {
		who = "with client-cert " + s.cfg.ClientCert
	}
	if class == noUser {
		return fmt.Errorf("read %s from etcd %s: %w: etcd wants a user: set username and password-file", r, who, backends.ErrDenied)
	}
	return &pathDenied{fmt.Errorf("read %s from etcd %s: %w: its role needs read permission on it (etcdctl role grant-permission ROLE read %s)", r, who, backends.ErrDenied, r.grant())}
}

// pathDenied is an error that concerns one range: others may be read.
type pathDenied struct{ err error }

func (e *pathDenied) Error() string { return e.err.Error() }

func (e *pathDenied) Unwrap() []error { return []error{backends.ErrPathDenied, e.err} }
