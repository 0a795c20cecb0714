package conn

import (
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/flow"
)

// Status is what a connection is about. It is plain data.
type Status struct {
	NetConn         net.Conn
	Since           time.Time // when it was accepted, or made
	State           State
	Extensions      string // what is known of the peer's
	Unread, Backlog int    // bytes of streams that were not taken, and bytes that wait to be written
}

// StatusLocked returns what the connection is about. It needs the lock.
func (c *Conn) StatusLocked() Status {
	s := Status{
		NetConn: c.netConn, Since: c.since, State: c.state, Extensions: c.ext.String(), Unread: c.inflow.Buffered(),
	}
	if c.t != nil { // in a handshake there is none
		s.Backlog = c.t.Unwritten()
	}
	return s
}

// Progress is how far a stream has come. It is plain data.
type Progress struct {
	Ended          bool // the peer sends nothing more
	Unread         int  // bytes that were received and not taken
	Sent, Received Window
}

// Window is one direction of a stream. It is plain data.
type Window struct {
	Bytes   uint64
	Limited bool   // the sender is under flow control
	Limit   uint64 // bytes that may have been sent when a message begins; 0 where it is not limited
}

// ProgressLocked returns how far the stream has come. It needs the lock.
func (s *Stream) ProgressLocked() Progress {
	in, sent := s.half.Progress(), Window{Bytes: s.outgoing.Sent()}
	if limit := s.outgoing.Current(); limit != flow.NoLimit {
		sent.Limited, sent.Limit = true, limit
	}
	return Progress{
		Ended: in.Ended, Unread: in.Unread, Sent: sent,
		Received: Window{Bytes: in.Received, Limited: in.Limit.Due, Limit: in.Limit.Bytes},
	}
}
