package ttrpc

import (
	"context"
	"fmt"
	"math"
	"net"
	"sync"
	"time"
)

// Client makes calls over one connection, any number at once; all its methods are safe for concurrent use.
// A client whose connection is gone stays closed: there is no reconnecting.
type Client struct {
	clientConfig
	rota
	conn net.Conn
	flow inflow

	// calls holds unary calls between uses: not in any map, ready empty. Each client has its own, for channels
	// must not pass from one testing/synctest bubble to another.
	calls sync.Pool

	mu      sync.Mutex         // guards all below and the rota; taken before the channel's lock
	nextID  uint64             // of the next stream; odd, past math.MaxUint32 there is none left
	streams map[uint32]*stream // calls without an answer; removing an entry is the claim to end it
	failed  error              // what calls return since the connection ended
	cause   error              // why it ended

	closed chan struct{} // closed after the on-close callback
}

// NewClient returns a client on conn, which it owns from then on, its deadlines included: Close closes it.
func NewClient(conn net.Conn, opts ...ClientOpts) *Client {
	c := &Client{
		clientConfig: defaultClientConfig(),
		conn:         conn,
		nextID:       1,
		streams:      make(map[uint32]*stream),
		closed:       make(chan struct{}),
	}
	for _, opt := range opts {
		opt(c)
	}
	conn, err := c.handshake()
	c.conn = conn
	c.rota.init(&c.mu, newChannel(conn, c.maxRecv, c.backlog, c.writeFailed), nil)
	c.flow.init(c.streamBuffer, c.connBuffer)
	if err != nil {
		c.fail(err)
		return c
	}
	go c.readLoop()
	return c
}

// handshake runs the handshaker, if there is one, and returns the connection to use.
func (c *Client) handshake() (net.Conn, error) {
	if c.handshaker == nil {
		return c.conn, nil
	}
	conn, _, err := runHandshake(context.Background(), c.handshaker, c.conn, c.handshakeTimeout)
	if err != nil {
		return c.conn, fmt.Errorf("ttrpc: handshake: %w", err)
	}
	return conn, nil
}

// claim removes a call: whoever gets it, and not nil, ends it.
func (c *Client) claim(id uint32) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id]
	if s == nil {
		return nil
	}
	delete(c.streams, id)
	c.servedLocked(id)
	if c.nextID > math.MaxUint32 && len(c.streams) == 0 {
		go c.fail(ErrStreamIDsExhausted)
	}
	return s
}

// Close closes the connection and ends all calls on it with ErrClosed. It returns nil. Messages that streams have sent are
// written before, for as long as a second if the server does not read them.
func (c *Client) Close() error {
	c.end(net.ErrClosed, c.writeLast)
	return nil
}

// writeLast writes what is posted, in bounded time.
func (c *Client) writeLast() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	c.ch.flush(false)
	_ = c.ch.waitWritten(ctx) // the rest is lost
}

// Err returns nil while the connection is up, and then why it ended: an error that wraps ErrClosed and the
// cause, io.EOF, net.ErrClosed after Close, syscall.ECONNRESET, io.ErrUnexpectedEOF and so on.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		return nil
	}
	return &closedError{cause: c.cause}
}

// UserOnCloseWait waits until the connection has ended and the callback of [WithOnClose] has returned. It
// returns ctx.Err() when ctx ends first.
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

// end is the one end of a client, the first cause counts: calls end, the connection closes, then the
// callback runs. before is called before the connection is closed.
func (c *Client) end(cause error, before func()) {
	c.mu.Lock()
	if c.failed != nil {
		c.mu.Unlock()
		return
	}
	c.failed, c.cause = asClosed(cause), cause
	streams := c.streams
	c.streams = nil
	c.attendLocked() // to see the end
	c.mu.Unlock()
	c.flow.close()
	for _, s := range streams {
		s.end(nil, c.failed)
	}
	before()
	c.ch.stop(cause)
	c.conn.Close() // last, for it may take its time
	c.report(cause)
	go c.finish()
}

func (c *Client) finish() {
	defer close(c.closed)
	if c.onClose != nil {
		c.onClose()
	}
}

func (c *Client) report(cause error) {
	if c.logger != nil && !isOrderly(cause) {
		c.logger.Warn("ttrpc: connection failed", "error", cause)
	}
}

// lastWords is how long a client that is closed writes on, and how long one whose write has failed reads on: the peer has
// closed then, and what it sent before that is still to be read, answers of calls that would otherwise fail for nothing.
const lastWords = time.Second

// writeFailed is called when a write has failed: nothing more goes out, and reading goes on to the end, for a bounded time.
func (c *Client) writeFailed(err error) {
	if !isOrderly(err) {
		c.fail(err)
		return
	}
	time.AfterFunc(lastWords, func() { c.fail(err) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attendLocked()
}
