package ttrpc

import (
	"fmt"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// handle gives one frame to its call. Frames for calls that are gone are late, and frames of other
// types are for a later version: both are dropped. (A serverConn answers to what has no place.)
func (c *Client) handle(in *transport.Inbound) bool {
	if in.Flags&wire.FlagExtensions != 0 && (in.Type == wire.TypeResponse || in.Type == wire.TypeData) {
		c.learn()
	}
	switch {
	case in.Oversized():
		c.handleOversized(in)
	case in.Type == wire.TypeResponse:
		c.handleResponse(in)
	case in.Type == wire.TypeData:
		return c.handleData(in)
	case in.Type == wire.TypeRequest: // from a peer that sends back what it gets
		c.endCall(in.Stream, unexpected(in.Type))
	case !c.ext.Known():
	case in.Type == wire.TypePing && c.t.Full(): // the server takes no answers: they would pile up
	default:
		c.handleControl(in)
	}
	return true
}

// handleOversized ends the call of a frame that was dropped. One that is no answer may have others
// behind it.
func (c *Client) handleOversized(in *transport.Inbound) {
	err := oversizedStatus(uint64(in.Length), c.maxRecv)
	if in.Type == wire.TypeResponse {
		c.endCall(in.Stream, err)
	} else {
		c.giveUp(in.Stream, err)
	}
}

func unexpected(typ wire.Type) error {
	return fmt.Errorf("unexpected %q message received: %w", typ, ErrProtocol)
}

// handleResponse ends a call. Who is answered now is likely to call again; where further answers
// have been read, they all leave the writing to the reader.
func (c *Client) handleResponse(in *transport.Inbound) {
	if !c.coalescing && c.t.HasUnread() {
		c.coalescing = c.t.Coalesce()
	}
	if s := c.claim(in.Stream); s != nil {
		s.closeRecv(in.Take(), nil)
	} else if in.Stream == 0 {
		c.alive.HandleRefused() // of a probe
	}
}

// handled writes for those who were answered.
func (c *Client) handled() (soon bool) {
	if c.coalescing {
		c.coalescing = false
		c.t.FlushCoalesced()
	}
	return false
}

// takesData takes the Data of calls that are gone for late, and gives up a call whose server sends
// what the method does not have. (A serverConn answers to all that.)
func (c *Client) takesData(s *stream, live bool, in *transport.Inbound) bool {
	switch {
	case !live:
		return false
	case s.kind == callUnary:
		c.giveUp(in.Stream, unexpected(in.Type))
		return false
	case !s.kind.serverStreams():
		c.giveUp(in.Stream, fmt.Errorf("received data from non-streaming server: %w", ErrProtocol))
		return false
	}
	return true
}

// dataEnded ends the call: the server's half ends it.
func (c *Client) dataEnded(s *stream) {
	if c.claim(s.id) != nil {
		s.closeRecv(nil, nil)
	}
}

// restrainNew does nothing: a client restrains each stream that it opens.
func (c *Client) restrainNew(before transport.Unwritten) transport.Unwritten { return before }

func (c *Client) failStalled(s *stream) { c.giveUp(s.id, ErrStreamFull) }
