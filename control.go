package ttrpc

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// handleControl takes a frame that is no part of a call. What either side may be sent is here.
func (c *conn) handleControl(in *transport.Inbound) {
	switch {
	case in.Type == wire.TypePing:
		c.handlePing(in)
	case in.Type == wire.TypePong:
		c.handlePong(in)
	case in.Type == wire.TypeWindow && in.Stream != 0:
		c.handleWindow(in)
	default:
		c.role.handleExtension(in)
	}
}

// pingID is the id of our Pings. A server answers them on odd ids, whatever calls there are.
const pingID = 1

// ping asks a peer that knows extensions for a sign of life, and waits for it.
func (c *conn) ping(ctx context.Context) error {
	number, answered, err := c.sendPing()
	if err != nil {
		return err
	}
	defer c.forgetPing(number)
	return c.awaitPong(ctx, answered)
}

func (c *conn) sendPing() (number uint64, answered chan struct{}, err error) {
	c.mu.Lock()
	if c.state == connClosed {
		defer c.mu.Unlock()
		return 0, nil, asClosed(c.cause)
	}
	number, answered = c.ext.pings.begin()
	posted, _ := c.t.Post(wire.ControlFrame(wire.TypePing, pingID, binary.BigEndian.AppendUint64(nil, number)))
	c.mu.Unlock()
	posted.Flush(false)
	return number, answered, nil
}

func (c *conn) forgetPing(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ext.pings.end(number)
}

// probe asks a server that may know no extensions, by a frame that it has to refuse: a Request, for
// servers of v1.0 and v1.1, and the blocking half of the Rust crate, ignore all other types.
func (c *conn) probe(ctx context.Context) error {
	c.mu.Lock()
	if c.state == connClosed {
		defer c.mu.Unlock()
		return asClosed(c.cause)
	}
	var posted transport.Unwritten
	if c.ext.pings.probe == nil {
		c.ext.pings.probe = make(chan struct{})
		posted, _ = c.t.Post(wire.ControlFrame(wire.TypeRequest, 0, nil))
	}
	answered := c.ext.pings.probe
	c.mu.Unlock()
	posted.Flush(false)
	return c.awaitPong(ctx, answered)
}

func (c *conn) awaitPong(ctx context.Context, answered chan struct{}) error {
	select {
	case <-answered:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == connClosed {
		return asClosed(c.cause)
	}
	return nil
}

// handlePing answers a Ping.
func (c *conn) handlePing(in *transport.Inbound) {
	data := in.Data()
	if len(data) > wire.MaxPing {
		data = nil
	}
	if posted, err := c.t.Post(wire.ControlFrame(wire.TypePong, in.Stream, data)); err == nil {
		posted.FlushLater()
	}
}

func (c *conn) handlePong(in *transport.Inbound) {
	if data := in.Data(); len(data) == 8 {
		c.forgetPing(binary.BigEndian.Uint64(data))
	}
}

// keepAliveLocked pings a peer that knows extensions, an interval after its last answer, until the
// connection has ended. One that does not answer in time is gone.
func (c *conn) keepAliveLocked(k keepalive) {
	if k.interval > 0 && c.state != connClosed {
		c.ext.timer = time.AfterFunc(k.interval, func() { c.checkAlive(k) })
	}
}

func (c *conn) checkAlive(k keepalive) {
	if err := c.pingWithin(k.timeout); err != nil {
		c.role.recvFailed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepAliveLocked(k)
}

// pingWithin returns an error where a peer that knows extensions gives no sign of life in time,
// which is whatever comes from it. Behind a backlog a ping is late: there it is enough that some of
// that has been written since the check before. That what has come lies unread behind what a
// consumer has to take first says nothing.
func (c *conn) pingWithin(timeout time.Duration) error {
	if !c.ext.peerKnows() {
		return nil
	}
	read, behind := c.t.LastRead(), c.t.Unwritten() > 0
	number, answered, err := c.sendPing()
	if err != nil {
		return nil // the connection has ended
	}
	defer c.forgetPing(number)
	alive := c.isAliveWithin(timeout, answered, read)
	behind = behind || c.t.Unwritten() > 0 // a moment without is chance
	if moves := c.hasWritten(); alive || behind && moves {
		return nil
	}
	return fmt.Errorf("%w: none within %v", ErrKeepalive, timeout)
}

// isAliveWithin waits for a Pong, or whatever has been read since. The end of the time counts only
// awake: a process that stood still has an answer before it that it has not read.
func (c *conn) isAliveWithin(timeout time.Duration, answered chan struct{}, lastRead time.Duration) bool {
	for _, d := range []time.Duration{timeout - stallGrace, stallGrace} {
		if c.isAnsweredWithin(d, answered) || c.t.LastRead() != lastRead || c.inflow.Waits() {
			return true
		}
	}
	return false
}

// hasWritten reports whether anything was written since it was asked last.
func (c *conn) hasWritten() bool {
	now := c.t.WriteProgress()
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.ext.written
	c.ext.written = now
	return now != before
}

func (c *conn) isAnsweredWithin(d time.Duration, answered chan struct{}) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return c.awaitPong(ctx, answered) != context.DeadlineExceeded
}
