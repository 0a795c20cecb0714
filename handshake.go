package ttrpc

import (
	"context"
	"net"
	"sync"
	"time"
)

// Handshaker confirms or decorates a connection before it is used, on the server for incoming ones
// and on the client for its own.
type Handshaker interface {
	// Handshake returns the connection to use in place of conn, which may be conn itself, and data
	// about the peer, such as its credentials, which handlers find with [HandshakeData].
	// An error refuses the connection.
	//
	// On a server ctx is the one that Serve was given; while the handshake runs it also ends with the
	// connection, and when the handshake takes too long. A deadline on conn ends a handshake, too.
	Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error)
}

// runHandshake bounds a handshake in time: zero is no bound. cancel ends ctx,
// and is called when the time is over.
func runHandshake(
	ctx context.Context, cancel func(), h Handshaker, conn net.Conn, timeout time.Duration,
) (used net.Conn, data any, err error) {
	if timeout > 0 {
		timer := time.AfterFunc(timeout, cancel)
		defer func() {
			if !timer.Stop() && err == nil {
				used, data, err = nil, nil, errHandshakeTimeout
			}
		}()
		_ = conn.SetDeadline(time.Now().Add(timeout)) // a conn without deadlines has only ctx
	}
	used, data, err = h.Handshake(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	if used == nil {
		return nil, nil, errHandshakeNilConn
	}
	if timeout > 0 {
		_ = conn.SetDeadline(time.Time{})
	}
	return used, data, nil
}

// serverHandshake runs a server's handshaker on a connection, within a time. base is the context
// that Serve was given, and running that of the connection, which cancel ends. It is a function so
// that a program without a handshaker does not link it.
type serverHandshake func(
	base, running context.Context, cancel func(), conn net.Conn, timeout time.Duration,
) (used net.Conn, data any, err error)

// serverHandshakeBy returns the handshake by h; nil for none.
func serverHandshakeBy(h Handshaker) serverHandshake {
	if h == nil {
		return nil
	}
	return func(base, running context.Context, cancel func(), conn net.Conn, timeout time.Duration) (net.Conn, any, error) {
		ctx := &handshakeContext{Context: base, running: running}
		defer ctx.over()
		return runHandshake(ctx, cancel, h, conn, timeout)
	}
}

// handshakeContext is Serve's context, which a handshaker may keep.
// While the handshake runs it ends earlier.
type handshakeContext struct {
	context.Context

	mu      sync.Mutex      // guards running
	running context.Context // the connection's; nil once the handshake is over
}

func (c *handshakeContext) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = nil
}

func (c *handshakeContext) now() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		return c.running
	}
	return c.Context
}

// Done implements [context.Context].
func (c *handshakeContext) Done() <-chan struct{} { return c.now().Done() }

// Err implements [context.Context].
func (c *handshakeContext) Err() error { return c.now().Err() }
