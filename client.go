package ttrpc

import (
	"context"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/handshake"
	"github.com/containerd/ttrpc/internal/redial"
	"github.com/containerd/ttrpc/internal/transport"
)

// Client makes calls, any number at once; all its methods are safe for concurrent use. A client of
// NewClient makes them over one connection, and stays closed when that is gone.
type Client struct {
	clientConfig
	conn       conn.Conn
	redial     redialer // nil, or else conn is unused: it has the connections
	connStats  connStats
	coalescing bool // the reader has others leave the writing to it; the reader's

	// unaryCalls holds calls between uses: not in any map, ready empty. Each client has its own, for
	// channels must not pass from one testing/synctest bubble to another.
	unaryCalls sync.Pool

	// The lock of conn guards these five.
	nextID      uint64           // of the next stream; odd, past math.MaxUint32 there is none left
	sentStream  uint64           // bytes that were posted when a stream has last sent a message
	uncancelled []uint32         // ids of calls that were given up before the server was known
	firstLimit  *flow.FirstLimit // with which streams begin; nil: none
	highest     uint32           // id of the calls that GoAway has left; no other has begun since

	closed chan struct{} // closed after the on-close callback
}

// clientRole is a Client as its connection knows it: the methods of [conn.Role] are not for users.
type clientRole Client

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
	c := &Client{clientConfig: defaultClientConfig(), nextID: 1, closed: make(chan struct{})}
	for _, opt := range opts {
		opt(c)
	}
	c.start(netConn)
	return c
}

// start runs the handshake, and begins to read.
func (c *Client) start(netConn net.Conn) {
	c.conn.Init(netConn)
	c.beginStats(netConn)
	used, err := c.handshake(netConn)
	c.open(used)
	if err != nil {
		c.fail(err)
		return
	}
	go c.conn.ReadLoop(true, func() bool { return false })
}

// open makes the transport, of which nobody else knows yet.
func (c *Client) open(netConn net.Conn) {
	c.conn.Lock()
	defer c.conn.Unlock()
	config := c.connConfig(true)
	config.OnFail = c.writeFailed
	c.conn.OpenLocked(netConn, (*clientRole)(c), &config)
}

func (c *Client) beginStats(netConn net.Conn) {
	if c.stats != nil {
		c.stats.beginConn(context.Background(), &c.connStats, netConn, true)
		c.connStats.begun(c.stats, nil) // nobody else knows the connection yet
	}
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
	c.end(net.ErrClosed, c.writeStreams)
	return nil
}

// writeStreams writes what streams have sent, in bounded time. The rest is lost.
func (c *Client) writeStreams() {
	c.conn.Lock()
	last := c.sentStream
	c.conn.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), transport.LingerTimeout)
	defer cancel()
	_ = c.conn.Transport().WaitWritten(ctx, last)
}

// Err returns nil while the connection is up, and then why it ended: an error that wraps ErrClosed
// and the cause, io.EOF, net.ErrClosed after Close, syscall.ECONNRESET,
// io.ErrUnexpectedEOF and so on.
func (c *Client) Err() error {
	if c.redial != nil {
		return c.redial.Err()
	}
	c.conn.Lock()
	defer c.conn.Unlock()
	if c.conn.StateLocked() != conn.Closed {
		return nil
	}
	return &closedError{cause: c.conn.CauseLocked()}
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

// fail ends the client at once.
func (c *Client) fail(cause error) { c.end(cause, func() {}) }

// end is the one end of a client, and the first cause counts: calls end, the connection closes,
// then the callback runs. before is called before the connection is closed.
func (c *Client) end(cause error, before func()) {
	var calls []*stream
	if !c.conn.Close(cause, asClosed(cause), func(call conn.Call) { calls = append(calls, call.(*stream)) }) {
		return
	}
	for _, s := range calls {
		s.CloseRecv(nil, asClosed(cause))
	}
	before()
	c.conn.Transport().Stop(cause)
	c.conn.NetConn().Close() // last, for it may take its time
	c.logEnd(cause)
	for _, s := range calls {
		s.stats.end(asClosed(cause))
	}
	c.connStats.end(c.stats, cause)
	go c.finishClose()
}

func (c *Client) finishClose() {
	defer close(c.closed)
	if c.onClose != nil {
		c.onClose()
	}
}

// writeFailed is called when a write has failed: nothing more goes out. The peer has closed then,
// and what it sent before that is still to be read, answers of calls that would otherwise fail for
// nothing: reading goes on to the end, for a bounded time.
func (c *Client) writeFailed(err error) {
	if !isOrderly(err) {
		c.fail(err)
		return
	}
	time.AfterFunc(transport.LingerTimeout, func() { c.fail(err) })
}

// claim removes a call: whoever gets it, and not nil, ends it.
func (c *Client) claim(id uint32) *conn.Stream {
	c.conn.Lock()
	defer c.conn.Unlock()
	return c.removeLocked(id)
}

func (c *Client) removeLocked(id uint32) *conn.Stream {
	call := c.conn.ClaimLocked(id)
	if call == nil {
		return nil
	}
	c.endIfDoneLocked()
	return call.Receiver()
}

// endIfDoneLocked ends a connection on which no call is in flight, nor will be any more. One that
// drains is its server's to close, or its user's.
func (c *Client) endIfDoneLocked() {
	switch {
	case c.conn.InFlightLocked() > 0:
	case c.nextID > math.MaxUint32:
		go c.fail(ErrStreamIDsExhausted)
	case c.conn.StateLocked() == conn.Left:
		go c.fail(transport.ErrDone)
	}
}

// leave has the connection end with the last of the calls in flight. Further ones are made
// elsewhere already.
func (c *Client) leave() {
	c.conn.Lock()
	defer c.conn.Unlock()
	c.drainLocked()
	c.conn.LeaveLocked()
	c.endIfDoneLocked()
}

func (c *Client) drainLocked() {
	if c.conn.DrainLocked() {
		c.highest = math.MaxUint32
	}
}

// endCall ends a call with an error, if it is still there.
func (c *Client) endCall(id uint32, err error) {
	if s := c.claim(id); s != nil {
		s.Discard(err)
	}
}
