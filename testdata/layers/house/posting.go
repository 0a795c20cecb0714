package house

import (
	"example.com/house/internal/transport"
	"example.com/house/internal/wire"
)

func wrapped(c *conn, f *wire.Frame) (transport.Unwritten, error) { return c.Post(f) }

type poster interface {
	PostAll(...*wire.Frame) transport.Unwritten
}

func posting(c *conn, f *wire.Frame, p poster) transport.Unwritten {
	c.Post(f)
	_, err := c.Post(f)
	wrapped(c, f)
	p.PostAll()
	u, err := c.Post(f)
	_ = u
	_, _ = u, err
	var _ = c.PostAll(f)
	u.Flush()
	go c.Post(f)
	defer c.PostAll(f)
	c.PostAll(f).Flush()
	if u, err := c.Post(f); err == nil {
		defer u.Flush()
	}
	keep := []transport.Unwritten{c.PostAll(f)}
	return keep[0]
}
