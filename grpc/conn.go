package grpcttrpc

import (
	"context"
	"strings"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// ClientConn makes gRPC's calls on a [ttrpc.Client]. It is a grpc.ClientConnInterface, and safe for
// concurrent use. The Client stays its owner's, who closes it.
type ClientConn struct {
	client   *ttrpc.Client
	defaults []grpc.CallOption
	authInfo credentials.AuthInfo // nil: of the connection
	invoker  grpc.UnaryInvoker    // interceptors around invoke
	streamer grpc.Streamer        // interceptors around newStream
}

var _ grpc.ClientConnInterface = (*ClientConn)(nil)

// ClientOption configures a ClientConn.
type ClientOption func(*ClientConn)

// NewClientConn returns a ClientConn whose calls go over client. It panics when client is nil.
func NewClientConn(client *ttrpc.Client, opts ...ClientOption) *ClientConn {
	if client == nil {
		panic("grpcttrpc: NewClientConn was given a nil client")
	}
	cc := &ClientConn{client: client}
	cc.invoker, cc.streamer = cc.invoke, cc.newStream
	for i := len(opts) - 1; i >= 0; i-- { // the first interceptor is put around all others
		opts[i](cc)
	}
	return cc
}

// WithChainUnaryInterceptor adds interceptors of unary calls, the first outermost, inside of those
// that options before this one add. Interceptors of the ttrpc.Client run inside of all of them. The
// *grpc.ClientConn that an interceptor gets is an empty one: its Target is "", and nothing else of
// it can be used.
func WithChainUnaryInterceptor(interceptors ...grpc.UnaryClientInterceptor) ClientOption {
	return func(cc *ClientConn) {
		for i := len(interceptors) - 1; i >= 0; i-- {
			cc.invoker = interceptUnary(interceptors[i], cc.invoker)
		}
	}
}

// WithChainStreamInterceptor adds interceptors of streams, as [WithChainUnaryInterceptor] does for
// unary calls.
func WithChainStreamInterceptor(interceptors ...grpc.StreamClientInterceptor) ClientOption {
	return func(cc *ClientConn) {
		for i := len(interceptors) - 1; i >= 0; i-- {
			cc.streamer = interceptStream(interceptors[i], cc.streamer)
		}
	}
}

// WithDefaultCallOptions sets options that stand before those of each call.
func WithDefaultCallOptions(opts ...grpc.CallOption) ClientOption {
	return func(cc *ClientConn) { cc.defaults = append(opts[:len(opts):len(opts)], cc.defaults...) }
}

// WithAuthInfo says how the connection is secured, for grpc.Peer and for per-call credentials that
// require transport security. By default a unix socket counts as secure, as with grpc's
// credentials/local, and all else as not.
func WithAuthInfo(info credentials.AuthInfo) ClientOption {
	return func(cc *ClientConn) { cc.authInfo = info }
}

// noConn is the connection that interceptors get: there is none of grpc's.
var noConn = new(grpc.ClientConn)

func interceptUnary(outer grpc.UnaryClientInterceptor, next grpc.UnaryInvoker) grpc.UnaryInvoker {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, opts ...grpc.CallOption) error {
		return outer(ctx, method, req, reply, conn, next, opts...)
	}
}

func interceptStream(outer grpc.StreamClientInterceptor, next grpc.Streamer) grpc.Streamer {
	return func(
		ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		return outer(ctx, desc, conn, method, next, opts...)
	}
}

// Invoke makes a unary call of method, "/package.Service/Method". Its errors are statuses. Options
// that ttrpc can't heed are ignored where that changes no result (compression, the buffer for
// retries), and fail the call with Unimplemented where it would (CallAuthority, a content-subtype
// other than proto). WaitForReady has an effect on a client of [ttrpc.Dial] alone.
func (cc *ClientConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return cc.invoker(ctx, method, args, reply, noConn, cc.options(opts)...)
}

// NewStream opens a stream to method, "/package.Service/Method". desc must be what the method is
// registered as: which sides stream. Options are those of [ClientConn.Invoke].
//
// The stream's resources are freed when RecvMsg has returned an error, which io.EOF is too, when
// SendMsg has returned one that is not io.EOF, or when ctx ends: callers do one of these.
func (cc *ClientConn) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return cc.streamer(ctx, desc, noConn, method, cc.options(opts)...)
}

func (cc *ClientConn) options(opts []grpc.CallOption) []grpc.CallOption {
	if len(cc.defaults) == 0 {
		return opts
	}
	return append(cc.defaults[:len(cc.defaults):len(cc.defaults)], opts...)
}

// invoke is the call itself, behind all interceptors.
func (cc *ClientConn) invoke(ctx context.Context, method string, args, reply any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
	c := newCall(cc, method, opts)
	err := c.invoke(ctx, args, reply)
	c.finish(err)
	return err
}

func (c *call) invoke(ctx context.Context, args, reply any) error {
	ctx, err := c.begin(ctx)
	if err != nil {
		return err
	}
	req, err := c.encode(args)
	if err != nil {
		return err
	}
	if err := c.conn.client.Call(ctx, c.service, c.name, req, c.target(reply)); err != nil {
		return toStatus(err)
	}
	return c.checkReceived(reply)
}

// splitMethod takes "/package.Service/Method" apart.
func splitMethod(full string) (service, name string, err error) {
	full = strings.TrimPrefix(full, "/")
	at := strings.LastIndexByte(full, '/')
	if at < 0 {
		return "", "", status.Errorf(codes.Unimplemented, "grpcttrpc: malformed method name %q: want /package.Service/Method", full)
	}
	return full[:at], full[at+1:], nil
}
