package ttrpc

import (
	"context"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// HandleExtension takes a frame that a server alone sends.
func (r *clientRole) HandleExtension(in *transport.Inbound) {
	c := (*Client)(r)
	if in.Stream != 0 {
		return
	}
	switch in.Type {
	case wire.TypeWindow:
		c.handleLimit(in)
	case wire.TypeGoAway:
		if last, ok := wire.ParseGoAway(in.Data()); ok {
			c.goAway(last)
		}
	}
}

// handleLimit takes the limit with which streams begin from now on.
func (c *Client) handleLimit(in *transport.Inbound) {
	limit, ok := wire.ParseWindow(in.Data())
	if !ok {
		return
	}
	c.conn.Lock()
	defer c.conn.Unlock()
	c.firstLimit = c.firstLimit.Next(limit)
}

// goAway begins no further calls, for the server shuts down, and ends those that it will not begin.
// The others go on, and then the server closes the connection.
func (c *Client) goAway(last uint32) {
	for _, s := range c.dropAbove(last) {
		s.CloseRecv(nil, errGoneAway)
	}
}

// dropAbove claims the calls above an id. It looks through them only where there are some: GoAways
// without end cost nothing.
func (c *Client) dropAbove(last uint32) (late []*conn.Stream) {
	c.conn.Lock()
	defer c.conn.Unlock()
	c.drainLocked()
	if last >= c.highest {
		return nil
	}
	c.highest = 0
	for id, call := range c.conn.CallsLocked() {
		if id > last {
			c.conn.ClaimLocked(id)
			late = append(late, call.Receiver())
		} else {
			c.highest = max(c.highest, id)
		}
	}
	c.endIfDoneLocked()
	return late
}

// learn notes that the server knows extensions, and cancels what was given up before that.
func (c *Client) learn() {
	c.conn.Lock()
	var posted transport.Unwritten
	if c.conn.Extensions().Learn() {
		for _, id := range c.uncancelled {
			posted, _ = c.conn.PostLocked(wire.CancelFrame(id, false)) // the reader sees its failure
		}
		c.uncancelled = nil
	}
	c.conn.Unlock()
	posted.FlushLater()
}

// maxUncancelled bounds the calls that were given up before the server was known.
const maxUncancelled = 64

// greetLocked has Hello follow a frame that was posted for the stream, once.
func (c *Client) greetLocked(id uint32, posted transport.Unwritten) transport.Unwritten {
	if c.conn.Extensions().Greet() {
		posted, _ = c.conn.PostLocked(wire.ControlFrame(wire.TypeHello, id, nil))
	}
	return posted
}

// cancel claims a call that is given up, and tells a server that knows extensions. That is the last
// frame for its id, for a claim and a post are one step.
func (c *Client) cancel(id uint32, why error) (s *conn.Stream, posted transport.Unwritten) {
	c.conn.Lock()
	defer c.conn.Unlock()
	if s = c.removeLocked(id); s == nil {
		return nil, posted
	}
	switch ext := c.conn.Extensions(); {
	case ext.Known():
		posted, _ = c.conn.PostLocked(wire.CancelFrame(id, why == context.DeadlineExceeded))
	case why == context.DeadlineExceeded: // which the server knows of, and why by its own clock
	case ext.Used() && len(c.uncancelled) < maxUncancelled:
		c.uncancelled = append(c.uncancelled, id)
	}
	return s, posted
}

// giveUp ends a call with an error, if it is still there, while the server may be at it.
func (c *Client) giveUp(id uint32, err error) {
	s, posted := c.cancel(id, err)
	posted.FlushLater()
	if s != nil {
		s.Discard(err)
	}
}
