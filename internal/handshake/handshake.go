// Package handshake runs a handshake on a connection, within a time and a context.
package handshake

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Handshaker is what runs: the root package's interface of that name.
type Handshaker interface {
	Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error)
}

var (
	errTimeout = errors.New("ttrpc: handshake took too long")
	errNilConn = errors.New("ttrpc: handshake returned no connection")
)

// Run runs a handshake within a time: zero is no bound. cancel ends ctx, and is called when the
// time is over.
func Run(
	ctx context.Context, cancel func(), h Handshaker, conn net.Conn, timeout time.Duration,
) (used net.Conn, data any, err error) {
	if timeout > 0 {
		timer := time.AfterFunc(timeout, cancel)
		defer func() {
			if !timer.Stop() && err == nil {
				used, data, err = nil, nil, errTimeout
			}
		}()
		_ = conn.SetDeadline(time.Now().Add(timeout)) // a conn without deadlines has only ctx
	}
	used, data, err = h.Handshake(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	if used == nil {
		return nil, nil, errNilConn
	}
	if timeout > 0 {
		_ = conn.SetDeadline(time.Time{})
	}
	return used, data, nil
}

// RunServers runs a server's handshake. base is the context that Serve was given, which the
// handshaker may keep, and running that of the connection, which cancel ends.
func RunServers(
	base, running context.Context, cancel func(), h Handshaker, conn net.Conn, timeout time.Duration,
) (used net.Conn, data any, err error) {
	ctx := &serverContext{Context: base, running: running}
	defer ctx.over()
	return Run(ctx, cancel, h, conn, timeout)
}

// serverContext is Serve's context, which a handshaker may keep.
// While the handshake runs it ends earlier.
type serverContext struct {
	context.Context

	mu      sync.Mutex      // guards running
	running context.Context // the connection's; nil once the handshake is over
}

func (c *serverContext) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = nil
}

func (c *serverContext) now() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		return c.running
	}
	return c.Context
}

// Done implements [context.Context].
func (c *serverContext) Done() <-chan struct{} { return c.now().Done() }

// Err implements [context.Context].
func (c *serverContext) Err() error { return c.now().Err() }
