package serverconn

import (
	"github.com/containerd/ttrpc/internal/callctx"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/conns"
	"github.com/containerd/ttrpc/internal/transport"
)

// IsDraining reports whether the connection closes when its calls have been answered.
func (c *Conn) IsDraining() bool {
	c.Lock()
	defer c.Unlock()
	state := c.StateLocked()
	return state == conn.Draining || state == conn.Flushing
}

// Drain lets the calls in flight finish and closes the connection then. It returns false where that
// is not open yet: it is to be closed at once.
func (c *Conn) Drain() (open bool) {
	var posted transport.Unwritten
	c.Lock()
	open = c.StateLocked() != conn.Handshake
	first := c.DrainLocked()
	if first {
		posted = c.goAwayLocked()
	}
	told := c.Extensions().Known()
	c.Unlock()
	posted.FlushLater()
	if !first {
		return open
	}
	if !told { // by a close alone its client does not learn that what has come did not run
		c.ReadNow()
	}
	c.Lock()
	c.CloseIfDoneLocked()
	c.Unlock()
	return open
}

// Stage implements [conns.Conn]. At the end of a bounded wait a TCP peer may still be about to
// close a connection that is flushed.
func (c *Conn) Stage() conns.Stage {
	c.Lock()
	defer c.Unlock()
	switch state := c.StateLocked(); {
	case state == conn.Closed, state == conn.Flushing && c.Transport().Flushed():
		return conns.Written
	case state == conn.Flushing:
		return conns.Answered
	case state != conn.Handshake && c.handlers.AllWait(c.contextsLocked):
		return conns.Quiet
	}
	return conns.Busy
}

// contextsLocked ranges over the contexts of the calls in flight, nil for the connection's.
func (c *Conn) contextsLocked(yield func(*callctx.Context) bool) {
	for _, call := range c.CallsLocked() {
		if !yield(call.(Call).Context()) {
			return
		}
	}
}

// WaitWithin calls wait, while the handler of a call waits for all others and not for itself. Its
// context is nil where that is the connection's: it is not known then which call that is.
func (c *Conn) WaitWithin(own *callctx.Context, wait func() error) error {
	c.waits(own, 1)
	defer c.waits(own, -1)
	return wait()
}

func (c *Conn) waits(own *callctx.Context, n int) {
	c.Lock()
	defer c.Unlock()
	c.handlers.Waits(own, n)
}
