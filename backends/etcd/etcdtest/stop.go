package etcdtest

import (
	"context"

	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// hurry makes a server end its streams as soon as stopping is closed. Without
// it etcd waits for them for more than five seconds when it is stopped.
func hurry(cfg *embed.Config, stopping <-chan struct{}) {
	cfg.GRPCAdditionalServerOptions = append(cfg.GRPCAdditionalServerOptions, grpc.ChainStreamInterceptor(
		func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			ctx, cancel := context.WithCancel(ss.Context())
			defer cancel()
			served := make(chan struct{})
			defer close(served)
			go func() {
				select {
				case <-stopping:
					cancel()
				case <-served:
				}
			}()
			err := handler(srv, &hurriedStream{ss, ctx})
			select {
			case <-stopping:
				return status.Error(codes.Unavailable, "transport is closing")
			default:
				return err
			}
		}))
}

type hurriedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *hurriedStream) Context() context.Context { return s.ctx }
