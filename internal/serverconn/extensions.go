package serverconn

import (
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// goAwayLocked tells a client that knows extensions which of its calls are the last.
func (c *Conn) goAwayLocked() (posted transport.Unwritten) {
	if c.Extensions().Known() {
		posted, _ = c.PostLocked(wire.GoAwayFrame(c.lastID)) // a failure is the connection's
	}
	return posted
}

// HandleHello notes that the client knows extensions. It may be late for a server that shuts down.
func (c *Conn) HandleHello() {
	var posted transport.Unwritten
	c.Lock()
	if c.Extensions().Learn() && c.StateLocked() == conn.Draining {
		posted = c.goAwayLocked()
	}
	c.Unlock()
	posted.FlushLater()
}

// RestrainNew tells a client with which limit its streams begin. It returns what is to be flushed:
// its frame, or else the one before.
func (c *Conn) RestrainNew(before transport.Unwritten) transport.Unwritten {
	c.Lock()
	defer c.Unlock()
	posted, err := c.PostLocked(wire.WindowFrame(0, c.FirstLimitLocked()))
	if err != nil {
		return before
	}
	return posted
}
