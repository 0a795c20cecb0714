package ttrpc

import (
	"context"
	"path"
)

// Unmarshaler decodes the request of a unary call into a message.
type Unmarshaler func(any) error

// Invoker sends a request and fills in the response.
type Invoker func(context.Context, *Request, *Response) error

// UnaryServerInfo describes a unary call to a server's interceptors.
type UnaryServerInfo struct {
	FullMethod string // "/service/method"
}

// UnaryClientInfo describes a unary call to a client's interceptors.
type UnaryClientInfo struct {
	FullMethod string // "/service/method"
}

// StreamServerInfo describes a stream to a server's interceptors.
type StreamServerInfo struct {
	FullMethod      string // "/service/method"
	StreamingClient bool
	StreamingServer bool
}

// UnaryServerInterceptor runs around the handler of each unary call: it calls method, or answers
// itself. It does not run for unknown methods.
type UnaryServerInterceptor func(context.Context, Unmarshaler, *UnaryServerInfo, Method) (any, error)

// UnaryClientInterceptor runs around each unary call: it calls the invoker, or answers itself. What
// it changes in the request is what goes out. A status that the server answers with stands in the
// Response, the invoker's error is nil then. [status.ErrorProto] makes an error of it, nil where
// there is none, so this is what has become of the call:
//
//	err := invoke(ctx, req, resp)
//	if err == nil {
//		err = status.ErrorProto(resp.GetStatus())
//	}
//
// On a client of [Dial] the invoker has an error for a call that a server has refused because it
// shuts down. [StatusOf] has the status of any error.
//
// [status.ErrorProto]: https://pkg.go.dev/google.golang.org/grpc/status#ErrorProto
type UnaryClientInterceptor func(context.Context, *Request, *Response, *UnaryClientInfo, Invoker) error

// StreamServerInterceptor runs around the handler of each stream.
type StreamServerInterceptor func(context.Context, StreamServer, *StreamServerInfo, StreamHandler) (any, error)

// StreamClientInterceptor is kept for those who name it. No option takes one: its signature has
// room for neither the stream nor the call. See [ClientStreamInterceptor].
type StreamClientInterceptor func(context.Context)

// Streamer opens a stream, like [Client.NewStream].
type Streamer func(ctx context.Context, desc *StreamDesc, service, method string, req any) (ClientStream, error)

// ClientStreamInterceptor runs around the opening of each stream: it calls the streamer, with
// whatever context it wants, and may wrap what that returns.
type ClientStreamInterceptor func(
	ctx context.Context, desc *StreamDesc, service, method string, req any, streamer Streamer,
) (ClientStream, error)

// fullMethod is the name under which interceptors know a method.
func fullMethod(service, method string) string { return "/" + path.Join(service, method) }

// chainUnaryClient makes one interceptor of several, the first outermost.
func chainUnaryClient(outer, inner UnaryClientInterceptor) UnaryClientInterceptor {
	if outer == nil {
		return inner
	}
	return func(ctx context.Context, req *Request, resp *Response, info *UnaryClientInfo, invoke Invoker) error {
		return outer(ctx, req, resp, info, func(ctx context.Context, req *Request, resp *Response) error {
			return inner(ctx, req, resp, info, invoke)
		})
	}
}

func chainClientStream(outer, inner ClientStreamInterceptor) ClientStreamInterceptor {
	if outer == nil {
		return inner
	}
	return func(ctx context.Context, desc *StreamDesc, service, method string, req any, open Streamer) (ClientStream, error) {
		return outer(ctx, desc, service, method, req,
			func(ctx context.Context, desc *StreamDesc, service, method string, req any) (ClientStream, error) {
				return inner(ctx, desc, service, method, req, open)
			})
	}
}

// intercept composes the chain around a method, once, at its registration. Each call has an info of
// its own, which its interceptors share: one may change it.
func (m Method) intercept(chain []UnaryServerInterceptor, name string) Method {
	if len(chain) == 0 {
		return m
	}
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		info := &UnaryServerInfo{FullMethod: name}
		return chain[0](ctx, unmarshal, info, m.behind(chain[1:], info))
	}
}

// behind is the method as the interceptor before these calls it.
func (m Method) behind(chain []UnaryServerInterceptor, info *UnaryServerInfo) Method {
	if len(chain) == 0 {
		return m
	}
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		return chain[0](ctx, unmarshal, info, m.behind(chain[1:], info))
	}
}

// intercept is the same for streams.
func (h StreamHandler) intercept(chain []StreamServerInterceptor, info StreamServerInfo) StreamHandler {
	if len(chain) == 0 {
		return h
	}
	return func(ctx context.Context, stream StreamServer) (any, error) {
		info := info
		return chain[0](ctx, stream, &info, h.behind(chain[1:], &info))
	}
}

func (h StreamHandler) behind(chain []StreamServerInterceptor, info *StreamServerInfo) StreamHandler {
	if len(chain) == 0 {
		return h
	}
	return func(ctx context.Context, stream StreamServer) (any, error) {
		return chain[0](ctx, stream, info, h.behind(chain[1:], info))
	}
}

// RecoveryFunc turns the panic of a handler into the error that its call answers with. method is
// its full name, "/service/method", value is what it panicked with, and stack tells where.
type RecoveryFunc func(ctx context.Context, method string, value any, stack []byte) error
