package conn

import (
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// HandleControl takes a frame that is no part of a call. What either side may be sent is here.
func (c *Conn) HandleControl(in *transport.Inbound) {
	switch {
	case in.Type == wire.TypePing:
		c.alive.HandlePing(in.Stream, in.Data())
	case in.Type == wire.TypePong:
		c.alive.HandlePong(in.Data())
	case in.Type == wire.TypeWindow && in.Stream != 0:
		c.handleWindow(in)
	default:
		c.role.HandleExtension(in)
	}
}
