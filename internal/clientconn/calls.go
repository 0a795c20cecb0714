package clientconn

import (
	"context"
	"math"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Begin takes f, the first frame of a call, and sends it, and the call is in flight then. On an
// error it never was.
func (c *Conn) Begin(ctx context.Context, call conn.Call, f *wire.Frame) error {
	if err := c.Transport().WaitSpace(ctx); err != nil {
		f.Free()
		return err
	}
	posted, err := c.begin(call, f)
	if err != nil {
		return err
	}
	posted.FlushBatched(ctx.Done() == nil)
	return nil
}

// begin registers a call under a new id and posts its first frame:
// the order of ids is the order on the wire.
func (c *Conn) begin(call conn.Call, f *wire.Frame) (transport.Unwritten, error) {
	c.Lock()
	defer c.Unlock()
	if err := c.refusalLocked(); err != nil {
		f.Free()
		return transport.Unwritten{}, err
	}
	id := uint32(c.nextID)
	posted, err := c.BeginLocked(id, call, f, c.firstLimit)
	if err != nil {
		return posted, c.unsent(err)
	}
	c.nextID += 2
	posted = c.greetLocked(id, posted)
	if s := call.Receiver(); s.Kind() != conn.Unary {
		posted = c.RestrainLocked(s, posted)
	}
	return posted, nil
}

// refusalLocked is why no call begins any more, or nil.
func (c *Conn) refusalLocked() error {
	switch c.StateLocked() {
	case conn.Closed:
		return c.unsent(c.CauseLocked())
	case conn.Draining, conn.Left:
		return callerr.GoneAway()
	}
	if c.nextID > math.MaxUint32 {
		c.endIfDoneLocked()
		return c.unsent(callerr.ErrStreamIDsExhausted)
	}
	return nil
}

// NotBegun is the error of a call whose context has ended before the call begins. That the
// connection has ended too says more, and programs look for it when they clean up.
func (c *Conn) NotBegun(ended error) error {
	if cause := c.Cause(); cause != nil {
		return c.unsent(cause)
	}
	return ended
}

// unsent is what a call returns that comes too late, for there are no further ones for that cause.
// After an orderly end a client of NewClient has always returned ErrClosed itself, which says no
// more.
func (c *Conn) unsent(cause error) error {
	err := callerr.Closed(cause)
	switch {
	case err == callerr.ErrClosed && c.redialed:
		err = callerr.ClosedFor(cause)
	case err == callerr.ErrClosed:
		return err
	}
	return callerr.Unsent(err)
}

// neverSent is what a call in flight returns whose connection has ended for a cause before its
// first frame was written. It does not wrap io.EOF, which to a stream's consumer is the last
// message's end.
func (c *Conn) neverSent(cause error) error {
	err := callerr.Closed(cause)
	if err == callerr.ErrClosed && !c.redialed { // see unsent
		return err
	}
	return callerr.Unsent(err)
}

// SkipIDs has the next call get an id as after so many calls. It is for tests.
func (c *Conn) SkipIDs(next uint32) {
	c.Lock()
	defer c.Unlock()
	c.nextID = uint64(next)
}

// Await returns the Response of a unary call that has begun, which the caller frees. Nobody knows
// the call any more then, nor after an error.
func (c *Conn) Await(ctx context.Context, s *conn.Stream) (*wire.Frame, error) {
	c.ReadFor(s)
	if err := c.wait(ctx, s); err != nil {
		return nil, err
	}
	return s.Reuse()
}

// wait returns when s has ended. When ctx ends first it claims the call,
// which nobody else knows of then.
func (c *Conn) wait(ctx context.Context, s *conn.Stream) error {
	done := ctx.Done()
	if done == nil {
		<-s.Ready()
		return nil
	}
	select {
	case <-s.Ready():
	case <-done:
		err := contextEnd(ctx)
		if mine, posted := c.cancel(s.ID(), err); mine != nil {
			posted.Flush(false)
			return err
		}
		<-s.Ready() // somebody else has claimed it and is about to end it
	}
	return nil
}

// contextEnd is the error of a context whose Done is closed. A user's own type may have none, where
// its Done is its own and its Err that of what it embeds.
func contextEnd(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Canceled
}

// GiveUp ends a call with an error, if it is still there, while the server may be at it.
func (c *Conn) GiveUp(id uint32, err error) {
	s, posted := c.cancel(id, err)
	posted.FlushLater()
	if s != nil {
		s.Discard(err)
	}
}

// claim removes a call: whoever gets it, and not nil, ends it.
func (c *Conn) claim(id uint32) *conn.Stream {
	c.Lock()
	defer c.Unlock()
	return c.claimLocked(id)
}

func (c *Conn) claimLocked(id uint32) *conn.Stream {
	call := c.ClaimLocked(id)
	if call == nil {
		return nil
	}
	c.endIfDoneLocked()
	return call.Receiver()
}

// Leave has the connection end with the last of the calls in flight. Further ones are made
// elsewhere already.
func (c *Conn) Leave() {
	c.Lock()
	defer c.Unlock()
	c.DrainLocked()
	c.LeaveLocked()
	c.endIfDoneLocked()
}

// endIfDoneLocked ends a connection on which no call is in flight, nor will be any more. One that
// drains is its server's to close, or its user's.
func (c *Conn) endIfDoneLocked() {
	switch {
	case c.InFlightLocked() > 0:
	case c.nextID > math.MaxUint32:
		go c.owner.Fail(callerr.ErrStreamIDsExhausted)
	case c.StateLocked() == conn.Left:
		go c.owner.Fail(transport.ErrDone)
	}
}
