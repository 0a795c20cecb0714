//go:build go1.25

package ttrpc

import "fmt"

// What tests outside of this package need of its inside, and can't see from outside.

// ForceInline has the reader of each connection of s run the next calls itself, as if all methods
// had been quick for long. It holds for the calls that come soon after it, so tests repeat it.
func ForceInline(s *Server) {
	for _, service := range *s.registry.services.Load() {
		for _, m := range service {
			m.average.Store(0)
			m.quick.Store(quickEnough)
		}
	}
	for _, sc := range conns(s) {
		sc.mu.Lock()
		reads := sc.ch != nil
		sc.mu.Unlock()
		if reads {
			sc.heat()
		}
	}
}

// SetNextStreamID has the client's next call use an id, as after so many calls.
func SetNextStreamID(c *Client, id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID = uint64(id)
}

// ClientLeftovers tells which calls a client still knows and what their streams hold, or nothing
// if there is none.
func ClientLeftovers(c *Client) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.streams) == 0 && c.flow.held.Load() == 0 {
		return ""
	}
	return fmt.Sprintf("%d calls, %d bytes of streams", len(c.streams), c.flow.held.Load())
}

// ServerLeftovers remembers the connections that s has. The function that it returns tells what they
// still account for, or nothing if there is nothing.
func ServerLeftovers(s *Server) func() string {
	all := conns(s)
	return func() (text string) {
		for _, sc := range all {
			sc.mu.Lock()
			if len(sc.calls) != 0 || sc.active != 0 || sc.requests != 0 || sc.flow.held.Load() != 0 {
				text += fmt.Sprintf("%d calls, %d handlers, %d bytes of requests, %d of streams\n",
					len(sc.calls), sc.active, sc.requests, sc.flow.held.Load())
			}
			sc.mu.Unlock()
		}
		return text
	}
}

func conns(s *Server) (all []*serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sc := range s.conns {
		all = append(all, sc)
	}
	return all
}
