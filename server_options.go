package ttrpc

import (
	"errors"
	"time"

	"github.com/containerd/ttrpc/internal/peercred"
	"github.com/containerd/ttrpc/internal/wire"
)

// WithServerHandshaker has the handshaker called for every accepted connection, each in its own
// goroutine, so that a slow one holds up nobody else. A server takes one.
func WithServerHandshaker(handshaker Handshaker) ServerOpt {
	return func(c *serverConfig) error {
		if c.handshake != nil {
			return errors.New("only one handshaker allowed per server")
		}
		c.handshake = serverHandshakeBy(handshaker)
		return nil
	}
}

// WithUnaryServerInterceptor sets the interceptor of unary calls. A server takes one so, before
// those of WithChainUnaryServerInterceptor.
func WithUnaryServerInterceptor(i UnaryServerInterceptor) ServerOpt {
	return func(c *serverConfig) error {
		if len(c.unaryInterceptors) > 0 {
			return errors.New("only one unchained interceptor allowed per server")
		}
		return WithChainUnaryServerInterceptor(i)(c)
	}
}

// WithChainUnaryServerInterceptor adds interceptors of unary calls inside those there are, the
// first outermost.
func WithChainUnaryServerInterceptor(interceptors ...UnaryServerInterceptor) ServerOpt {
	return func(c *serverConfig) error {
		for _, i := range interceptors {
			if i != nil {
				c.unaryInterceptors = append(c.unaryInterceptors, i)
			}
		}
		return nil
	}
}

// WithStreamServerInterceptor sets the interceptor of streams. A server takes one so, before those
// of WithChainStreamServerInterceptor.
func WithStreamServerInterceptor(i StreamServerInterceptor) ServerOpt {
	return func(c *serverConfig) error {
		if len(c.streamInterceptors) > 0 {
			return errors.New("only one unchained stream interceptor allowed per server")
		}
		return WithChainStreamServerInterceptor(i)(c)
	}
}

// WithChainStreamServerInterceptor adds interceptors of streams inside those there are, the first
// outermost.
func WithChainStreamServerInterceptor(interceptors ...StreamServerInterceptor) ServerOpt {
	return func(c *serverConfig) error {
		for _, i := range interceptors {
			if i != nil {
				c.streamInterceptors = append(c.streamInterceptors, i)
			}
		}
		return nil
	}
}

// WithRecovery has f called when a handler, or an interceptor around it, panics. Without it a panic
// ends the process, as in any goroutine.
func WithRecovery(f RecoveryFunc) ServerOpt {
	return func(c *serverConfig) error { c.recovery = f; return nil }
}

// WithServerExtensions sets whether the server uses the protocol's extensions with clients that
// know them; by default it does. No other client notices.
func WithServerExtensions(on bool) ServerOpt {
	return func(c *serverConfig) error {
		c.extensions = ExtensionsAuto
		if !on {
			c.extensions = ExtensionsOff
		}
		return nil
	}
}

// WithServerKeepalive has the server ping clients that know the protocol's extensions, an interval
// after the connection's begin or the last answer. A connection without an answer within timeout
// fails with [ErrKeepalive], unless the client is still taking, slowly, what it was sent before. By
// default, and with an interval of 0, nobody is pinged. A peer that has ended is noticed without
// that; one that has vanished, as a machine or a network does, is not.
func WithServerKeepalive(interval, timeout time.Duration) ServerOpt {
	return func(c *serverConfig) error { c.keepalive = keepAlive(interval, timeout); return nil }
}

// WithServerLogger has the server log what it cannot report to a caller: refused connections,
// failing accepts, connections that ended otherwise than by closing. args are key-value pairs, as
// log/slog has them. By default nothing is logged.
func WithServerLogger(l Logger) ServerOpt {
	return func(c *serverConfig) error { c.logger, c.describe = l, peercred.Describe; return nil }
}

// WithServerMaxRecvMsgSize sets the largest frame accepted, in bytes of its data, which is the
// message and its envelope: 1 to 16 MiB - 1, by default 4 MiB. A larger request is dropped as it
// comes and answered with ResourceExhausted.
func WithServerMaxRecvMsgSize(n int) ServerOpt {
	return func(c *serverConfig) error { return setSize(&c.maxRecv, n, wire.MaxData) }
}

// WithServerMaxSendMsgSize sets the largest frame sent, in bytes of its data: 1 to 16 MiB - 1, by
// default 4 MiB. A larger answer costs its call, which gets ResourceExhausted, and nothing else.
func WithServerMaxSendMsgSize(n int) ServerOpt {
	return func(c *serverConfig) error { return setSize(&c.maxSend, n, wire.MaxData) }
}

// WithServerStreamBuffer sets how many bytes are kept that clients have sent and handlers not yet
// received, for a stream and for a connection; by default 8 MiB and 32 MiB. When they are full the
// connection is not read until there is room. A stream whose handler has received nothing meanwhile
// fails with ErrStreamFull: after one second where other calls are in flight on the connection, and
// else after the time of [WithServerStallTimeout]. A client that knows windows stops before, and
// what was on its way then may take all of the connection's buffer.
func WithServerStreamBuffer(stream, conn int) ServerOpt {
	return func(c *serverConfig) error {
		return errors.Join(setSize(&c.streamBuffer, stream, maxInt), setSize(&c.connBuffer, conn, maxInt))
	}
}

// WithServerWriteBacklog sets how many bytes of answers may wait for a client to read them, by
// default 1 MiB. Beyond that, SendMsg waits and the connection's requests are not read.
func WithServerWriteBacklog(n int) ServerOpt {
	return func(c *serverConfig) error { return setSize(&c.backlog, n, maxInt) }
}

// WithServerMaxCalls sets how many calls may be in flight on a connection, by default 65536.
// Further ones are answered with ResourceExhausted.
func WithServerMaxCalls(n int) ServerOpt {
	return func(c *serverConfig) error { return setSize(&c.maxCalls, n, maxInt) }
}

// WithServerRequestBuffer sets how many bytes of requests a connection may have whose handlers have
// not returned, by default 256 MiB. Further requests are answered with ResourceExhausted; one is
// always accepted.
func WithServerRequestBuffer(n int) ServerOpt {
	return func(c *serverConfig) error { return setSize(&c.requestBuffer, n, maxInt) }
}

// WithServerStreamWindow sets how many bytes of a stream may be on their way, or received and not
// taken, where the client knows the protocol's extensions: its SendMsg waits then. By default it is
// 1 MiB, and never more than the stream's buffer.
func WithServerStreamWindow(n int) ServerOpt {
	return func(c *serverConfig) error { c.streamWindow = max(n, 1); return nil }
}

// WithServerStallTimeout sets for how long the handler of a stream may take no message while its
// buffer is full, where that stream is the only call in flight on its connection; by default it is
// 10 seconds, 0 is for ever. After that the stream fails with ErrStreamFull. Where other calls are
// in flight, which wait meanwhile, the time is always one second.
func WithServerStallTimeout(d time.Duration) ServerOpt {
	return func(c *serverConfig) error { c.stallTimeout = d; return nil }
}

// WithServerGoroutinePerCall has each call run on a goroutine of its own, which ends with it. By
// default handlers' goroutines are used again, which saves the growing of a stack for each call.
//
// A goroutine that a handler leaves locked to its thread ([runtime.LockOSThread]) ends, with the
// thread, in either case. Without this option somebody has to notice that: who runs handlers looks
// after each of a method's first 64 runs, after each run of over 10 µs, after every 16th run of a
// goroutine, and after each run of a method that has once done so. When a method locks its thread
// for the first time after that and is quick about it, up to 16 later calls may run there. Profiler
// labels (runtime/pprof) and debug.SetPanicOnFault (runtime/debug) that a handler leaves set stay
// for later calls.
func WithServerGoroutinePerCall() ServerOpt {
	return func(c *serverConfig) error { c.goroutinePerCall = true; return nil }
}

// WithServerMaxConns sets how many connections are served at once; by default any number. At the
// limit no further ones are accepted until one ends.
func WithServerMaxConns(n int) ServerOpt {
	return func(c *serverConfig) error { return setSize(&c.maxConns, n, maxInt) }
}

// WithServerHandshakeTimeout bounds each handshake, by default 30 seconds; 0 is no bound.
func WithServerHandshakeTimeout(d time.Duration) ServerOpt {
	return func(c *serverConfig) error { c.handshakeTimeout = d; return nil }
}
