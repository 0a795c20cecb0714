package grpcttrpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// GRPC returns a *grpc.ClientConn whose calls go over cc, for code that asks for that type and not
// for a grpc.ClientConnInterface. Its Invoke and NewStream work, as do Target and Close, after
// which calls still go over cc. It never connects, and its state is idle. The caller closes it.
func (cc *ClientConn) GRPC() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///ttrpc",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithIdleTimeout(0),
		grpc.WithUnaryInterceptor(func(
			ctx context.Context, method string, req, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			return cc.Invoke(ctx, method, req, reply, opts...)
		}),
		grpc.WithStreamInterceptor(func(
			ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, _ grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			return cc.NewStream(ctx, desc, method, opts...)
		}),
	)
}
