//go:build go1.25

package ttrpc

import (
	"fmt"

	"github.com/containerd/ttrpc/internal/peercred"
)

// What tests outside of this package need of its inside, and can't see from outside.

// CanReadPeer tells whether the system tells peers' credentials.
const CanReadPeer = peercred.Supported

// SetNextStreamID has the client's next call use an id, as after so many calls.
func SetNextStreamID(c *Client, id uint32) {
	c.conn.SkipIDs(id)
}

// ConnCount is how many connections the server knows.
func ConnCount(s *Server) int { return len(s.conns.Open()) }

// ClientLeftovers tells which calls a client still knows and what their streams hold, or nothing
// if there is none.
func ClientLeftovers(c *Client) string {
	c.conn.Lock()
	defer c.conn.Unlock()
	calls := c.conn.InFlightLocked()
	unread, promised := c.conn.Buffered()
	if calls == 0 && unread == 0 && promised == 0 {
		return ""
	}
	return fmt.Sprintf("%d calls, %d bytes of streams, %d promised", calls, unread, promised)
}

// ServerLeftovers remembers the connections that s has. The function that it returns tells what
// they still account for, or nothing if there is nothing.
func ServerLeftovers(s *Server) func() string {
	all := s.conns.Open()
	return func() (text string) {
		for _, sc := range all {
			sc.conn.Lock()
			calls := sc.conn.InFlightLocked()
			unread, promised := sc.conn.Buffered()
			if calls != 0 || sc.conn.RunningLocked() > 0 || sc.conn.RequestsLocked() != 0 || unread != 0 || promised != 0 {
				text += fmt.Sprintf("%d calls, %d handlers, %d bytes of requests, %d of streams, %d promised\n",
					calls, sc.conn.RunningLocked(), sc.conn.RequestsLocked(), unread, promised)
			}
			sc.conn.Unlock()
		}
		return text
	}
}
