package ttrpc

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/clientconn"
	"github.com/containerd/ttrpc/internal/handshake"
	"github.com/containerd/ttrpc/internal/redial"
)

// Client makes calls, any number at once; all its methods are safe for concurrent use. A client of
// NewClient makes them over one connection, and stays closed when that is gone.
type Client struct {
	clientConfig
	conn    clientconn.Conn
	redial  redialer          // nil, or else conn is unused: it has the connections
	tellEnd func(cause error) // of the connection, to handlers of stats; nil without one

	// unaryCalls holds calls between uses: not in any map, ready empty. Each client has its own, for
	// channels must not pass from one testing/synctest bubble to another.
	unaryCalls sync.Pool

	closed chan struct{} // closed after the on-close callback
}

// ClientOpts configures a client.
type ClientOpts func(c *Client)

// redialer makes the connections of a client that dials again: each is a Client of its own, which
// has no interceptors. It is an interface so that nobody links it who does not dial.
type redialer interface {
	// Do has try make a call on a connection, and on another one as long as it was not sent.
	Do(ctx context.Context, try func(*Client) error) error
	Current() *Client // of the connection that there is now, or nil
	Err() error       // see Client.Err
	Close()           // see Client.Close
	// Connections returns the state, and the clients of all connections that have not ended.
	Connections() (state redial.State, all []*Client)
}

// NewClient returns a client on conn, which it owns from then on, its deadlines included: Close
// closes it. It panics when conn is nil.
func NewClient(netConn net.Conn, opts ...ClientOpts) *Client {
	if isNil(netConn) {
		panic("ttrpc: NewClient was given a nil connection")
	}
	c := &Client{clientConfig: defaultClientConfig(), closed: make(chan struct{})}
	for _, opt := range opts {
		opt(c)
	}
	c.start(netConn)
	return c
}

// start tells the begin, runs the handshake, and begins to read.
func (c *Client) start(netConn net.Conn) {
	c.conn.Init(netConn, (*clientOwner)(c), c.redialed)
	if c.stats != nil {
		_, c.tellEnd = c.stats.BeginConn(context.Background(), netConn, true) // nobody else knows it yet
	}
	used, err := c.handshake(netConn)
	config := c.connConfig(true)
	c.conn.Open(used, &config)
	if err != nil {
		c.end(err, false)
		return
	}
	go c.conn.Read()
}

// handshake runs the handshaker, if there is one, and returns the connection to use.
func (c *Client) handshake(netConn net.Conn) (net.Conn, error) {
	if c.handshaker == nil {
		return netConn, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	used, _, err := handshake.Run(ctx, cancel, c.handshaker, netConn, c.handshakeTimeout)
	if err != nil {
		return netConn, fmt.Errorf("ttrpc: handshake: %w", err)
	}
	return used, nil
}

// Close closes the connection and ends all calls on it with ErrClosed. It returns nil. Messages
// that streams have sent are written before, for as long as a second if the server does not read
// them.
func (c *Client) Close() error {
	if c.redial != nil {
		c.redial.Close()
		return nil
	}
	c.end(net.ErrClosed, true)
	return nil
}

// Err returns nil while the connection is up, and then why it ended: an error that wraps ErrClosed
// and the cause, io.EOF, net.ErrClosed after Close, syscall.ECONNRESET,
// io.ErrUnexpectedEOF and so on.
func (c *Client) Err() error {
	if c.redial != nil {
		return c.redial.Err()
	}
	if cause := c.conn.Cause(); cause != nil {
		return callerr.ClosedFor(cause)
	}
	return nil
}

// RemoteAddr returns the address of the server. It is nil where the conn knows none.
func (c *Client) RemoteAddr() net.Addr {
	if c = c.current(); c == nil {
		return nil
	}
	return c.conn.NetConn().RemoteAddr()
}

// LocalAddr returns the address of the client's own end, likewise.
func (c *Client) LocalAddr() net.Addr {
	if c = c.current(); c == nil {
		return nil
	}
	return c.conn.NetConn().LocalAddr()
}

// current is the client of the connection that there is, or nil.
func (c *Client) current() *Client {
	if c.redial != nil {
		return c.redial.Current()
	}
	return c
}

// Ping asks the server for a sign of life, and returns nil when it has come: something at the other
// end reads and answers. It returns ctx.Err() when ctx ends first, which bounds it where the server
// is stuck, and an error that wraps ErrClosed when the connection ends.
//
// A server that knows the protocol's extensions is pinged. Any other gets a frame that it has to
// refuse, and its refusal is the sign; servers of v1.2.0 to v1.2.10 count that as a call that has
// ended, so that their Shutdown may cut a live one: ping these once, as a check that the server is
// there, and not periodically.
func (c *Client) Ping(ctx context.Context) error {
	switch {
	case c.redial != nil:
		return c.redial.Do(ctx, func(c *Client) error { return c.Ping(ctx) })
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if err := c.conn.Transport().WaitSpace(ctx); err != nil {
		return err // or Pings without end would pile up for a server that takes none
	}
	return c.conn.Liveness().Ping(ctx)
}

// UserOnCloseWait waits until the connection has ended and the callback of [WithOnClose] has
// returned. It returns ctx.Err() when ctx ends first.
func (c *Client) UserOnCloseWait(ctx context.Context) error {
	select {
	case <-c.closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end is the one end of a client, and the first cause counts: calls end, the connection closes,
// then the callback runs. linger has what streams have sent written before.
func (c *Client) end(cause error, linger bool) {
	ended := callerr.Closed(cause)
	calls, first := c.conn.End(cause, ended, linger)
	if !first {
		return
	}
	c.logEnd(cause)
	for _, call := range calls {
		call.(*stream).stats.End(ended)
	}
	if c.tellEnd != nil {
		c.tellEnd(cause)
	}
	go c.finishClose()
}

func (c *Client) finishClose() {
	defer close(c.closed)
	if c.onClose != nil {
		c.onClose()
	}
}

// clientOwner is a Client as its connection knows it: the methods of [clientconn.Owner] are not for
// users.
type clientOwner Client

// Fail ends the client at once.
func (o *clientOwner) Fail(cause error) { (*Client)(o).end(cause, false) }
