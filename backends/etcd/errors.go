package etcd

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// class is what kind of failure a request met.
type class int

const (
	other        class = iota
	unavailable        // no node could be reached, or the one reached cannot serve just now
	timedOut           // no answer in time
	canceled           // the caller's context is over
	tokenRefused       // the token has expired, or permissions have changed since
	loginRefused       // wrong user or password
	noUser             // etcd wants a user and we have none
	forbidden          // the user lacks the permission
	compacted          // the revision is gone
	tooManyOps         // the server allows fewer operations in a transaction
)

// grpcError returns the error of gRPC that err wraps, or err itself.
func grpcError(err error) error {
	if s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return s.GRPCStatus().Err()
	}
	return err
}

// classify tells what err, or the error of gRPC that it wraps, means.
func classify(err error) class {
	if err == nil {
		return other
	}
	err = grpcError(err)
	code := status.Code(err)
	if etcd, ok := errors.AsType[rpctypes.EtcdError](rpctypes.Error(err)); ok {
		code = etcd.Code()
		switch etcd {
		case rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision:
			return tokenRefused
		case rpctypes.ErrAuthFailed:
			return loginRefused
		case rpctypes.ErrUserEmpty:
			return noUser
		case rpctypes.ErrPermissionDenied:
			return forbidden
		case rpctypes.ErrCompacted:
			return compacted
		case rpctypes.ErrTooManyOps:
			return tooManyOps
		}
	}
	switch code {
	case codes.Unavailable:
		return unavailable
	case codes.DeadlineExceeded:
		return timedOut
	case codes.Canceled:
		return canceled
	case codes.Unauthenticated:
		return tokenRefused
	case codes.PermissionDenied:
		return forbidden
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut
	case errors.Is(err, context.Canceled):
		return canceled
	}
	return other
}

// fromServer tells whether err came from etcd and not from our side of the
// connection.
func fromServer(err error) bool {
	_, ok := errors.AsType[rpctypes.EtcdError](rpctypes.Error(grpcError(err)))
	return ok
}

// plainError is an error of gRPC whose text lacks gRPC's prefixes.
type plainError struct{ error }

func (e plainError) Unwrap() error { return e.error }

func (e plainError) Error() string {
	text := e.error.Error()
	if s, ok := status.FromError(e.error); ok {
		text = s.Message()
	}
	for _, prefix := range []string{
		"latest balancer error: ", "last connection error: ", "connection error: ", "etcdserver: ",
	} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// classifyReason classifies the reason why a watcher was canceled: the text of an
// error, with or without gRPC's prefix.
func classifyReason(reason string) class {
	return classify(rpctypes.Error(errors.New(plainReason(reason))))
}

func plainReason(reason string) string {
	if _, desc, ok := strings.Cut(reason, " desc = "); ok {
		return desc
	}
	return reason
}
