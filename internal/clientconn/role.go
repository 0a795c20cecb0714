package clientconn

import (
	"fmt"
	"time"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// role is a Conn as its reader knows it: what a frame means to the calls that it has made. Frames
// for calls that are gone are late, and frames of other types are for a later version: both are
// dropped. These end a call in flight, with errors of internal/callerr:
//
//	frame                                 its call ends with        the server is told
//	Response                              that                      -
//	Data, the last                        what has come             -
//	Request, which it has sent back       Broken                    no
//	Response over the limit               Oversized                 no
//	any other over the limit              Oversized                 yes
//	Data, where the method has none       Broken                    yes
//	Data, for which nobody makes room     ErrStreamFull             yes
//	GoAway that does not count the call   GoneAway                  no
//
// It is told by a Cancel, once it is known to know the extensions.
type role Conn

// Handle implements [conn.Role].
func (r *role) Handle(in *transport.Inbound) bool {
	c := (*Conn)(r)
	if in.Flags&wire.FlagExtensions != 0 && (in.Type == wire.TypeResponse || in.Type == wire.TypeData) {
		c.learn()
	}
	switch {
	case in.Oversized():
		c.handleOversized(in)
	case in.Type == wire.TypeResponse:
		c.handleResponse(in)
	case in.Type == wire.TypeData:
		return c.HandleData(in)
	case in.Type == wire.TypeRequest: // from a peer that sends back what it gets
		c.endCall(in.Stream, c.unexpected(in.Type))
	case !c.Extensions().Known():
	case in.Type == wire.TypePing && c.Transport().Full():
		// The server takes no answers: they would pile up.
	default:
		c.HandleControl(in)
	}
	return true
}

// endCall ends a call with an error, if it is still there.
func (c *Conn) endCall(id uint32, err error) {
	if s := c.claim(id); s != nil {
		s.Discard(err)
	}
}

func (c *Conn) unexpected(typ wire.Type) error {
	return callerr.Broken(fmt.Sprintf("unexpected %q message received", typ))
}

// handleOversized ends the call of a frame that was dropped. One that is no answer may have others
// behind it.
func (c *Conn) handleOversized(in *transport.Inbound) {
	err := callerr.Oversized(uint64(in.Length), c.maxRecv)
	if in.Type == wire.TypeResponse {
		c.endCall(in.Stream, err)
	} else {
		c.GiveUp(in.Stream, err)
	}
}

// handleResponse ends a call. Who is answered now is likely to call again; where further answers
// have been read, they all leave the writing to the reader.
func (c *Conn) handleResponse(in *transport.Inbound) {
	if t := c.Transport(); !c.coalescing && t.HasUnread() {
		c.coalescing = t.Coalesce()
	}
	if s := c.claim(in.Stream); s != nil {
		s.CloseRecv(in.Take(), nil)
	} else if in.Stream == 0 {
		c.Liveness().HandleRefused() // of a probe
	}
}

// Handled writes for those who were answered.
func (r *role) Handled() (soon bool) {
	if r.coalescing {
		r.coalescing = false
		r.Transport().FlushCoalesced()
	}
	return false
}

// RecvFailed says more of a server that has never spoken.
func (r *role) RecvFailed(err error) {
	if transport.IsOrderly(err) && r.Transport().Silent() {
		err = fmt.Errorf("the server closed the connection before any answer: %w", err)
	}
	r.owner.Fail(err)
}

// PeerSilent closes the connection.
func (r *role) PeerSilent(within time.Duration) { r.owner.Fail(callerr.Silent(within)) }

// TakesData takes the Data of calls that are gone for late, and gives up a call whose server sends
// what the method does not have.
func (r *role) TakesData(s *conn.Stream, live bool, in *transport.Inbound) bool {
	c := (*Conn)(r)
	switch {
	case !live:
		return false
	case s.Kind() == conn.Unary:
		c.GiveUp(in.Stream, c.unexpected(in.Type))
		return false
	case !s.Kind().ServerStreams():
		c.GiveUp(in.Stream, callerr.Broken("received data from non-streaming server"))
		return false
	}
	return true
}

// DataEnded ends the call: the server's half ends it.
func (r *role) DataEnded(s *conn.Stream) {
	if (*Conn)(r).claim(s.ID()) != nil {
		s.CloseRecv(nil, nil)
	}
}

// RestrainNew does nothing: a client restrains each stream that it opens.
func (r *role) RestrainNew(before transport.Unwritten) transport.Unwritten { return before }

// FailStalled ends the call.
func (r *role) FailStalled(s *conn.Stream) { (*Conn)(r).GiveUp(s.ID(), callerr.ErrStreamFull) }
