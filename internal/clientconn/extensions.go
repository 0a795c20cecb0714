package clientconn

import (
	"context"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// HandleExtension takes a frame that a server alone sends.
func (r *role) HandleExtension(in *transport.Inbound) {
	c := (*Conn)(r)
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
func (c *Conn) handleLimit(in *transport.Inbound) {
	limit, ok := wire.ParseWindow(in.Data())
	if !ok {
		return
	}
	c.Lock()
	defer c.Unlock()
	c.firstLimit = c.firstLimit.Next(limit)
}

// goAway begins no further calls, for the server shuts down, and ends those that it will not begin.
// The others go on, and then the server closes the connection.
func (c *Conn) goAway(last uint32) {
	for _, s := range c.dropAbove(last) {
		s.CloseRecv(nil, callerr.GoneAway())
	}
}

// dropAbove claims the calls above an id. It looks through them only where there are some: GoAways
// without end cost nothing.
func (c *Conn) dropAbove(last uint32) (late []*conn.Stream) {
	c.Lock()
	defer c.Unlock()
	c.DrainLocked()
	if last >= c.highest {
		return nil
	}
	c.highest = 0
	for id, call := range c.CallsLocked() {
		if id > last {
			c.ClaimLocked(id)
			late = append(late, call.Receiver())
		} else {
			c.highest = max(c.highest, id)
		}
	}
	c.endIfDoneLocked()
	return late
}

// greetLocked has Hello follow a frame that was posted for a call, once.
func (c *Conn) greetLocked(id uint32, posted transport.Unwritten) transport.Unwritten {
	if c.Extensions().Greet() {
		posted, _ = c.PostLocked(wire.ControlFrame(wire.TypeHello, id, nil))
	}
	return posted
}

// maxUncancelled bounds the calls that were given up before the server was known.
const maxUncancelled = 64

// cancel claims a call that is given up, and tells a server that knows extensions. That is the last
// frame for its id, for a claim and a post are one step.
func (c *Conn) cancel(id uint32, why error) (s *conn.Stream, posted transport.Unwritten) {
	c.Lock()
	defer c.Unlock()
	if s = c.claimLocked(id); s == nil {
		return nil, posted
	}
	switch ext := c.Extensions(); {
	case ext.Known():
		posted, _ = c.PostLocked(wire.CancelFrame(id, why == context.DeadlineExceeded))
	case why == context.DeadlineExceeded: // which the server knows of, and why by its own clock
	case ext.Used() && len(c.uncancelled) < maxUncancelled:
		c.uncancelled = append(c.uncancelled, id)
	}
	return s, posted
}

// learn notes that the server knows extensions, and cancels what was given up before that.
func (c *Conn) learn() {
	c.Lock()
	var posted transport.Unwritten
	if c.Extensions().Learn() {
		for _, id := range c.uncancelled {
			posted, _ = c.PostLocked(wire.CancelFrame(id, false)) // the reader sees its failure
		}
		c.uncancelled = nil
	}
	c.Unlock()
	posted.FlushLater()
}
