package ttrpctest

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/pipe"
)

// Conn is one end of a connection in memory. It behaves as a socket does: what is written is
// buffered, 64 KiB if nothing else is said, Close wakes whoever reads or writes, deadlines hold,
// and an error is a *net.OpError, but for io.EOF. All methods are safe for concurrent use.
//
// The methods that make faults concern what this end writes from now on, and the answers to it are
// [Conn.Peer]'s to disturb. A fault after n bytes happens amid a Write, if n is there. Delays use
// package time, so testing/synctest controls them.
type Conn struct {
	end   *pipe.Conn
	peer  *Conn
	local addr
}

// addr is the address of an end.
type addr string

// Network returns "ttrpctest".
func (addr) Network() string { return "ttrpctest" }

// String returns the end's name.
func (a addr) String() string { return string(a) }

// Pair returns the two ends of a connection, for a server's ServeConn and a client, or for a test
// that speaks bytes at one end. Nobody closes them but their users.
func Pair() (client, server *Conn) { return pair("client", "server") }

func pair(client, server addr) (*Conn, *Conn) {
	a, b := pipe.New(pipe.Options{}, pipe.Options{})
	c, s := &Conn{end: a, local: client}, &Conn{end: b, local: server}
	c.peer, s.peer = s, c
	return c, s
}

// Peer returns the other end.
func (c *Conn) Peer() *Conn { return c.peer }

// Read implements [net.Conn]. The end that the peer has sent is io.EOF.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.end.Read(b)
	return n, c.failed("read", err)
}

// Write implements [net.Conn]. It waits while the peer has not read what the buffer holds.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.end.Write(b)
	return n, c.failed("write", err)
}

// failed gives an error the form that errors of sockets have.
func (c *Conn) failed(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.peer.local, Err: err}
}

// Close ends both directions: the peer reads what is under way, and then io.EOF, and what it writes
// fails with EPIPE.
func (c *Conn) Close() error { return c.failed("close", c.end.Close()) }

// CloseWrite ends what this end sends, and it can still read.
func (c *Conn) CloseWrite() error { return c.failed("close", c.end.CloseWrite()) }

// Closed reports whether this end has been closed.
func (c *Conn) Closed() bool { return c.end.Closed() }

// isOver reports whether either end has been closed.
func (c *Conn) isOver() bool { return c.Closed() || c.peer.Closed() }

// LocalAddr returns the name of this end, such as "client 1" of a [Listener]'s connections.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the name of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.peer.local }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error { return c.failed("set", c.end.SetDeadline(t)) }

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error { return c.failed("set", c.end.SetReadDeadline(t)) }

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.failed("set", c.end.SetWriteDeadline(t))
}
