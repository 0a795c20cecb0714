package ttrpc

import (
	"fmt"
	"time"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Handle gives one frame to its call. Frames for calls that are gone are late, and frames of other
// types are for a later version: both are dropped. (A serverConn answers to what has no place.)
func (r *clientRole) Handle(in *transport.Inbound) bool {
	c := (*Client)(r)
	if in.Flags&wire.FlagExtensions != 0 && (in.Type == wire.TypeResponse || in.Type == wire.TypeData) {
		c.learn()
	}
	switch {
	case in.Oversized():
		c.handleOversized(in)
	case in.Type == wire.TypeResponse:
		c.handleResponse(in)
	case in.Type == wire.TypeData:
		return c.conn.HandleData(in)
	case in.Type == wire.TypeRequest: // from a peer that sends back what it gets
		c.endCall(in.Stream, unexpected(in.Type))
	case !c.conn.Extensions().Known():
	case in.Type == wire.TypePing && c.conn.Transport().Full():
		// The server takes no answers: they would pile up.
	default:
		c.conn.HandleControl(in)
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
	if t := c.conn.Transport(); !c.coalescing && t.HasUnread() {
		c.coalescing = t.Coalesce()
	}
	if s := c.claim(in.Stream); s != nil {
		s.CloseRecv(in.Take(), nil)
	} else if in.Stream == 0 {
		c.conn.Liveness().HandleRefused() // of a probe
	}
}

// Handled writes for those who were answered.
func (r *clientRole) Handled() (soon bool) {
	if r.coalescing {
		r.coalescing = false
		r.conn.Transport().FlushCoalesced()
	}
	return false
}

// RecvFailed says more of a server that has never spoken. (A serverConn's asks whether the end was
// meant.)
func (r *clientRole) RecvFailed(err error) {
	if isOrderly(err) && r.conn.Transport().Silent() {
		err = fmt.Errorf("the server closed the connection before any answer: %w", err)
	}
	(*Client)(r).fail(err)
}

// PeerSilent closes the connection.
func (r *clientRole) PeerSilent(within time.Duration) { r.RecvFailed(silentError(within)) }

// TakesData takes the Data of calls that are gone for late, and gives up a call whose server sends
// what the method does not have. (A serverConn answers to all that.)
func (r *clientRole) TakesData(s *conn.Stream, live bool, in *transport.Inbound) bool {
	switch {
	case !live:
		return false
	case s.Kind() == conn.Unary:
		(*Client)(r).giveUp(in.Stream, unexpected(in.Type))
		return false
	case !s.Kind().ServerStreams():
		(*Client)(r).giveUp(in.Stream, fmt.Errorf("received data from non-streaming server: %w", ErrProtocol))
		return false
	}
	return true
}

// DataEnded ends the call: the server's half ends it.
func (r *clientRole) DataEnded(s *conn.Stream) {
	if (*Client)(r).claim(s.ID()) != nil {
		s.CloseRecv(nil, nil)
	}
}

// RestrainNew does nothing: a client restrains each stream that it opens.
func (r *clientRole) RestrainNew(before transport.Unwritten) transport.Unwritten { return before }

// FailStalled ends the call.
func (r *clientRole) FailStalled(s *conn.Stream) { (*Client)(r).giveUp(s.ID(), ErrStreamFull) }
