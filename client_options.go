package ttrpc

import (
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

// WithOnClose has onClose called once, after the connection has ended by either side's doing and
// all its calls have returned their errors. The last such option counts.
func WithOnClose(onClose func()) ClientOpts {
	return func(c *Client) { c.onClose = onClose }
}

// WithUnaryClientInterceptor sets the interceptor of unary calls, in place of those set before.
func WithUnaryClientInterceptor(i UnaryClientInterceptor) ClientOpts {
	return func(c *Client) { c.interceptor = i }
}

// WithChainUnaryClientInterceptor adds interceptors of unary calls inside those set before, the
// first outermost.
func WithChainUnaryClientInterceptor(interceptors ...UnaryClientInterceptor) ClientOpts {
	return func(c *Client) {
		for _, i := range interceptors {
			if i != nil {
				c.interceptor = chainUnaryClient(c.interceptor, i)
			}
		}
	}
}

// WithClientStreamInterceptor adds interceptors of streams inside those set before, the first
// outermost.
func WithClientStreamInterceptor(interceptors ...ClientStreamInterceptor) ClientOpts {
	return func(c *Client) {
		for _, i := range interceptors {
			if i != nil {
				c.streamInterceptor = chainClientStream(c.streamInterceptor, i)
			}
		}
	}
}

// WithClientHandshaker has NewClient run a handshake before the connection is used. When that fails
// the client is closed from the start, and [Client.Err] tells why. Its data is not kept.
func WithClientHandshaker(handshaker Handshaker) ClientOpts {
	return func(c *Client) { c.handshaker = handshaker }
}

// WithClientHandshakeTimeout bounds the handshake, by default 30 seconds; 0 is no bound.
func WithClientHandshakeTimeout(d time.Duration) ClientOpts {
	return func(c *Client) { c.handshakeTimeout = d }
}

// WithClientExtensions sets what the client makes of the protocol's extensions;
// by default it is [ExtensionsAuto].
func WithClientExtensions(x Extensions) ClientOpts {
	return func(c *Client) { c.extensions = x }
}

// WithClientKeepalive has the client ping a server that knows the protocol's extensions, which its
// first answer says, an interval after the connection's begin or the last answer to a ping. A
// connection without an answer within timeout fails with [ErrKeepalive]. By default, and with an
// interval of 0, nobody is pinged.
func WithClientKeepalive(interval, timeout time.Duration) ClientOpts {
	return func(c *Client) { c.keepalive = keepAlive(interval, timeout) }
}

// WithClientLogger has the client log ends of its connection that are not mere closing. By default
// nothing is logged.
func WithClientLogger(l Logger) ClientOpts {
	return func(c *Client) { c.logger = l }
}

// WithClientMaxRecvMsgSize sets the largest frame accepted, in bytes of its data, by default 4 MiB.
// Values are brought into the range of 1 to 16 MiB - 1. A larger answer costs its call, which gets
// ResourceExhausted.
func WithClientMaxRecvMsgSize(n int) ClientOpts {
	return func(c *Client) { c.maxRecv = min(max(n, 1), wire.MaxData) }
}

// WithClientMaxSendMsgSize sets the largest frame sent, in bytes of its data, by default 4 MiB.
// Values are brought into the range of 1 to 16 MiB - 1. A larger request is refused with an
// *[OversizedMessageErr].
func WithClientMaxSendMsgSize(n int) ClientOpts {
	return func(c *Client) { c.maxSend = min(max(n, 1), wire.MaxData) }
}

// WithClientStreamBuffer sets how many bytes are kept that the server has sent and RecvMsg not yet
// returned, for a stream and for the connection; by default 8 MiB and 32 MiB. When they are full
// the connection is not read until there is room. A stream whose consumer has received nothing
// meanwhile fails with ErrStreamFull: after one second where other calls are in flight, and else
// after the time of [WithClientStallTimeout]. Where the server knows windows it stops before, and
// what was on its way then may take all of the connection's buffer. A stream that the server has
// ended does not count: it keeps what it has until that is received, or the stream forgotten.
func WithClientStreamBuffer(stream, conn int) ClientOpts {
	return func(c *Client) { c.streamBuffer, c.connBuffer = max(stream, 1), max(conn, 1) }
}

// WithClientStreamWindow sets how many bytes of a stream may be on their way, or received and not
// taken, where the server knows the protocol's extensions: its SendMsg waits then. By default it is
// 1 MiB, and never more than the stream's buffer.
func WithClientStreamWindow(n int) ClientOpts {
	return func(c *Client) { c.streamWindow = max(n, 1) }
}

// WithClientStallTimeout sets for how long the consumer of a stream may take no message while its
// buffer is full, where that stream is the only call in flight; by default it is 10 seconds, 0 is
// for ever. After that the stream fails with ErrStreamFull. Where other calls are in flight, which
// wait meanwhile, the time is always one second.
func WithClientStallTimeout(d time.Duration) ClientOpts {
	return func(c *Client) { c.stallTimeout = d }
}

// WithClientWriteBacklog sets how many bytes may wait for the server to read them before Call,
// NewStream and SendMsg wait, by default 1 MiB.
func WithClientWriteBacklog(n int) ClientOpts {
	return func(c *Client) { c.backlog = max(n, 1) }
}
