package ttrpc

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/reader"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// conn is one connection: what its two roles share. A Client has one on which it makes calls, and a
// Server has one for each of its clients. What a frame means is up to the role.
//
// A call is in calls from before its first frame is sent or handled until somebody removes it,
// and that is the claim to end it.
type conn struct {
	t       *transport.Transport
	netConn net.Conn  // the caller's own, or what the handshake has made of it
	since   time.Time // it was accepted then, or made
	role    role
	reader  reader.Reader
	inflow  flow.Inflow
	ext     peer.Extensions
	alive   peer.Liveness
	sendMax int // bytes of data in a frame that is sent

	soleStallTimeout time.Duration // of a stream that is alone in flight

	mu    sync.Mutex // guards all below, and what roles say; taken before the transport's, a stream's
	calls map[uint32]inFlight
	state connState
	cause error // why the connection is closed
}

// connState is how far a connection has come.
//
//	from           event                                        to
//	connHandshake  the handshake has succeeded                  connOpen
//	connOpen       its server shuts down                        connDraining
//	connDraining   the last call is answered                    connFlushing
//	connDraining   Dial's client makes its calls elsewhere      connLeft
//	any            all is written, a failure, Close             connClosed
//
// A client's connection is never in the first nor in the fourth; GoAway brings it into the third.
// Dial's client leaves one that has refused a call, which is draining for that.
type connState uint8

const (
	connOpen connState = iota
	connHandshake
	connDraining // no further calls; closes when the last is answered
	connFlushing // closes when the last answer is written
	connLeft     // no further calls; the client closes it when the last has ended
	connClosed
)

// role is one side of the calls on a connection.
type role interface {
	// These three are the reader's: see [reader.Frames]. With recvFailed the connection closes.
	handle(in *transport.Inbound) bool
	handled() (soon bool)
	recvFailed(err error)
	// takesData reports whether Data may go into a stream. If not it has done what there is to do.
	// live says whether there is a call, and s is nil where that has no Data.
	takesData(s *stream, live bool, in *transport.Inbound) bool
	// dataEnded is called when the peer's last Data has been put into a stream.
	dataEnded(s *stream)
	// handleExtension takes a frame that is no part of a call, and is sent to this side alone.
	handleExtension(in *transport.Inbound)
	// restrainNew is called when the budget of the streams has become crowded, or no longer is. It
	// returns what is to be flushed: its frame, or else the one before.
	restrainNew(before transport.Unwritten) transport.Unwritten
	// failStalled ends a stream whose consumer takes nothing, to make room for others.
	failStalled(s *stream)
}

// frames is a conn as its reader sees it.
type frames conn

// Handle implements [reader.Frames].
func (f *frames) Handle(in *transport.Inbound) bool { return f.role.handle(in) }

// Handled implements [reader.Frames].
func (f *frames) Handled() (soon bool) { return f.role.handled() }

// RecvFailed implements [reader.Frames].
func (f *frames) RecvFailed(err error) { f.role.recvFailed(err) }

// asked is a conn as [peer.Liveness] sees it.
type asked conn

// Post implements [peer.Conn].
func (a *asked) Post(f *wire.Frame) (transport.Unwritten, error) { return a.t.Post(f) }

// LastRead implements [peer.Conn].
func (a *asked) LastRead() time.Duration { return a.t.LastRead() }

// Unwritten implements [peer.Conn].
func (a *asked) Unwritten() int { return a.t.Unwritten() }

// WriteProgress implements [peer.Conn].
func (a *asked) WriteProgress() uint64 { return a.t.WriteProgress() }

// Waits implements [peer.Conn].
func (a *asked) Waits() bool { return a.inflow.Waits() }

// PeerSilent implements [peer.Conn].
func (a *asked) PeerSilent(timeout time.Duration) {
	a.role.recvFailed(fmt.Errorf("%w: none within %v", ErrKeepalive, timeout))
}

// inFlight is a call: a client's *stream, or a server's *serverCall.
type inFlight interface {
	// receiver is where Data of the call goes; it is nil for a server's unary call.
	receiver() *stream
}

// open makes a transport of a net.Conn. onFail is called when writing has ended.
func (c *conn) open(netConn net.Conn, role role, toServer bool, l *limits, onFail func(error)) {
	c.netConn, c.role, c.sendMax, c.soleStallTimeout = netConn, role, l.maxSend, l.stallTimeout
	c.t = transport.New(netConn, transport.Config{
		MaxData: l.maxRecv, Backlog: l.backlog, OnFail: onFail,
		First: func(first []byte) error { return checkFirst(first, toServer, l.maxRecv) },
	})
	c.reader.Begin(c.t, (*frames)(c))
	c.alive.Init((*asked)(c), &c.ext)
	c.alive.Keep(l.keepalive.interval, l.keepalive.timeout)
	c.inflow.Init(l.streamBuffer, l.connBuffer, l.streamWindow, &c.ext)
}

// checkFirst refuses a peer that does not speak ttrpc.
func checkFirst(first []byte, fromServer bool, maxData int) error {
	what, foreign := wire.Foreign(first, fromServer, maxData)
	if !foreign {
		return nil
	}
	return fmt.Errorf("%s: %w", wire.ForeignText(first, what, fromServer), ErrProtocol)
}

// readLoop has the caller be the loop until the connection has ended, or leave says so. inside says
// that the caller has the role already.
func (c *conn) readLoop(inside bool, leave func() bool) (ended bool) {
	return c.reader.Loop(inside, leave)
}

// readFor has the consumer of a stream, or the caller of a unary call, read for himself while the
// next frame is likely to come at once. It returns when there is something for s,
// or when the loop does better.
func (c *conn) readFor(s *stream) {
	c.readUntil(reader.ByCaller, func() bool { return s.half.HasWake() })
}

// readAsWorker has a worker that is free read until done, likewise.
func (c *conn) readAsWorker(done func() bool) { c.readUntil(reader.ByWorker, done) }

// readUntil reads until done, where one reader that reads ahead for all does no better.
func (c *conn) readUntil(as reader.State, done func() bool) {
	if c.t.CanTry() && !(c.t.InBatches() && c.isCrowded()) {
		c.reader.Until(as, done)
	}
}

// wakeWith wakes the consumer of a stream that has got a message of so many bytes. With a large one
// the loop may do that a little later.
func (c *conn) wakeWith(s *stream, bytes int) {
	if bytes <= wire.SharedFrame || !c.reader.DelayWake(s.half.Ready(), bytes) {
		s.half.Wake()
	}
}

// mayWait is asked before a wait while a frame is handled. It returns false where the one who reads
// may not wait: handle returns false then.
func (c *conn) mayWait() bool { return c.reader.Waits() }

// mayRun is asked about a call that was read: here says that the one who reads may run it and read
// on, instead that he may run it and leave the reading to others.
func (c *conn) mayRun() (here, instead bool) { return c.reader.MayRun() }

// crowded is how many calls in flight are served better by one reader that reads ahead for all.
const crowded = 5

func (c *conn) isCrowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls) >= crowded
}

// register puts a call in flight.
func (c *conn) registerLocked(id uint32, call inFlight) {
	if c.calls == nil {
		c.calls = make(map[uint32]inFlight)
	}
	c.calls[id] = call
	c.inflow.LookAgain()
}

// claimLocked removes a call: whoever gets it, and not nil, ends it.
func (c *conn) claimLocked(id uint32) inFlight {
	call := c.calls[id]
	if call != nil {
		delete(c.calls, id)
	}
	return call
}

// lookup finds a call in flight, and the stream where its Data goes, if there is one.
func (c *conn) lookup(id uint32) (s *stream, live bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[id]
	if call == nil {
		return nil, false
	}
	return call.receiver(), true // under the lock: a server's call is recycled once it is claimed
}

// isLiveLocked reports whether a stream is in flight.
func (c *conn) isLiveLocked(s *stream) bool {
	call := c.calls[s.id]
	return call != nil && call.receiver() == s
}

// isSole reports whether nothing is in flight but the call of this id.
func (c *conn) isSole(id uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls) == 1 && c.calls[id] != nil
}

// streams lists the streams in flight.
func (c *conn) streams() []*stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*stream, 0, len(c.calls))
	for _, call := range c.calls {
		if s := call.receiver(); s != nil && s.kind != callUnary {
			all = append(all, s)
		}
	}
	return all
}

// close marks the connection closed, once: the first cause counts. It returns where Data of the
// calls went that were in flight, which are claimed by that. The net.Conn is the role's to close.
func (c *conn) close(cause error) (receivers []*stream, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == connClosed {
		return nil, false
	}
	c.state, c.cause = connClosed, cause
	for _, call := range c.calls {
		if s := call.receiver(); s != nil {
			receivers = append(receivers, s)
		}
	}
	c.calls = nil
	c.alive.End(asClosed(cause))
	c.inflow.Close()
	return receivers, true
}
