// Package house is the highest layer of a fixture of layers_test.go. The lines with a fault have a comment.
package house

import (
	"example.com/house/internal/transport"
	"example.com/house/internal/wire"
)

type conn struct {
	transport.Conn
	frame wire.Frame
}

func fields(c *conn, f *wire.Frame, q wire.Queue[int]) any {
	f.Owner = "house"                                // a field
	_ = c.frame.Owner                                // one of a field
	f = &wire.Frame{Owner: "house"}                  // in a literal
	f = &wire.Frame{"house", struct{ Total int }{1}} // in a literal without names
	c.Inner.Close()                                  // on the way to a method
	c.State = c.Conn.State                           // promoted, and named
	_ = q.Head                                       // of a generic type
	c.Header.ID, c.Length = 1, 2                     // the first: its way is a field
	c.frame.SetOwner("house")                        // a method
	return wire.Header{1, 2}                         // plain data
}
