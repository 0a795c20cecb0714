package ttrpc

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/callctx"
	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/conns"
	"github.com/containerd/ttrpc/internal/runner"
	"github.com/containerd/ttrpc/internal/stats"
	"github.com/containerd/ttrpc/internal/streamids"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// serverConn is a connection that a server has accepted. Its goroutine does the handshake, then
// reads; calls run on workers. Whoever removes a call from calls answers it: its own goroutine with
// the result, or the reader, for a peer that broke the protocol in it.
type serverConn struct {
	conn   conn.Conn
	server *Server
	peer   string // who it is, for the log

	contexts callctx.Parent   // of calls, and of the handshake
	outlived callctx.Outlived // of unary calls, for goroutines that handlers have left behind
	ids      streamids.Set    // of the Requests so far; the reader's
	runs     runner.Conn

	// The lock of conn guards all below.
	handlers  conns.Handlers[*callContext]
	lastID    uint32            // the highest id of a call so far
	marked    bool              // the first Response or Data is posted
	handshake any               // what the handshake has returned beside the conn
	tellEnd   func(cause error) // to handlers of stats, once; nil: not begun, or told
}

func newServerConn(s *Server, ctx context.Context, netConn net.Conn) *serverConn {
	sc := &serverConn{server: s}
	sc.contexts.Init(ctx, sc)
	sc.conn.Init(netConn)
	sc.handlers.Init(s.maxCalls, s.requestBuffer)
	if s.logger != nil {
		sc.peer = s.describe(netConn)
	}
	return sc
}

// beginStats tells the begin. The connection may have been closed meanwhile.
func (sc *serverConn) beginStats(by stats.Handler) {
	ctx, tellEnd := by.BeginConn(sc.contexts.Base(), sc.conn.NetConn(), false)
	sc.contexts.Init(ctx, sc)
	sc.conn.Lock()
	sc.tellEnd = tellEnd
	closed := sc.conn.StateLocked() == conn.Closed
	sc.conn.Unlock()
	if closed {
		sc.endStats()
	}
}

// endStats tells the end of a connection that is closed, if its begin was told and the end was not.
func (sc *serverConn) endStats() {
	sc.conn.Lock()
	tell, cause := sc.tellEnd, sc.conn.CauseLocked()
	sc.tellEnd = nil
	sc.conn.Unlock()
	if tell != nil {
		tell(cause)
	}
}

// RecvFailed takes whatever ends a connection that drains for what was meant. (A Client's asks
// whether the server has ever spoken.)
func (sc *serverConn) RecvFailed(err error) {
	if sc.isDraining() {
		err = transport.ErrDone // whatever it is, it was meant to end
	}
	sc.fail(err)
}

// PeerSilent closes the connection.
func (sc *serverConn) PeerSilent(within time.Duration) { sc.RecvFailed(callerr.Silent(within)) }

func (sc *serverConn) isDraining() bool {
	sc.conn.Lock()
	defer sc.conn.Unlock()
	state := sc.conn.StateLocked()
	return state == conn.Draining || state == conn.Flushing
}

// start does the handshake and makes the transport.
func (sc *serverConn) start() error {
	s, netConn := sc.server, sc.conn.NetConn()
	var data any
	if s.handshake != nil {
		var err error
		c := &sc.contexts
		netConn, data, err = s.handshake(c.Base(), c.Context(), c.End, netConn, s.handshakeTimeout)
		if err != nil {
			return err
		}
	}
	sc.conn.Lock()
	defer sc.conn.Unlock()
	config := s.connConfig(false)
	config.OnFail = sc.fail
	if !sc.conn.OpenLocked(netConn, sc, &config) {
		netConn.Close()
		return ErrServerClosed
	}
	sc.handshake = data
	return nil
}

// ContextEnded has handlers look that are in RecvMsg.
func (sc *serverConn) ContextEnded() { sc.conn.WakeStreams() }

// connOf is the connection of a handler's context; nil for any other.
func connOf(ctx context.Context) *serverConn {
	sc, _ := ctx.Value(callctx.OwnerKey{}).(*serverConn)
	return sc
}

// begin registers a call that its client has begun, within the server's limits, or says what to
// answer instead. (A Client's gives a call its id, and posts its Request.)
func (sc *serverConn) begin(call *serverCall) *status.Status {
	parent := sc.contexts.Context()
	sc.conn.Lock()
	defer sc.conn.Unlock()
	if sc.conn.StateLocked() != conn.Open || sc.server.conns.IsDone() {
		return status.New(codes.Unavailable, ErrServerClosed.Error())
	}
	if refusal := sc.handlers.Begin(call.request.Cost()); refusal != "" {
		return status.New(codes.ResourceExhausted, refusal)
	}
	sc.conn.RegisterLocked(call.id, call)
	sc.lastID = max(sc.lastID, call.id)
	call.prepare(parent, sc.conn.Extensions().Used())
	return nil
}

// post takes the answer of a call whose handler has returned, unless somebody has answered for it.
// The handler counts no more from then on: others may write the answer at once, and whoever has it
// may make the next call.
func (sc *serverConn) post(call *serverCall, f *wire.Frame) (posted transport.Unwritten) {
	f.SetStream(call.id)
	sc.conn.Lock()
	defer sc.conn.Unlock()
	sc.doneLocked(call.request.Cost())
	if sc.conn.ClaimLocked(call.id) != nil { // it is this call, for an id is used once
		posted, _ = sc.postLocked(f) // one that has failed fails the connection itself
	} else {
		f.Free()
	}
	sc.conn.CloseIfDoneLocked()
	if sc.conn.StateLocked() != conn.Open {
		sc.server.conns.Advanced()
	}
	return posted
}

// postLocked posts a Response or Data. The connection's first one says that this server knows
// extensions.
func (sc *serverConn) postLocked(f *wire.Frame) (transport.Unwritten, error) {
	if !sc.marked && sc.conn.Extensions().Used() {
		f.SetFlag(wire.FlagExtensions)
	}
	sc.marked = true
	posted, err := sc.conn.PostLocked(f)
	if err != nil {
		err = callerr.Closed(err)
	}
	return posted, err
}

// noteAnswered closes a connection that drains, if that was its last call, and tells Shutdown.
func (sc *serverConn) noteAnswered() {
	sc.conn.Lock()
	defer sc.conn.Unlock()
	sc.conn.CloseIfDoneLocked()
	sc.server.conns.Advanced()
}

// done says that the connection's goroutine has ended.
func (sc *serverConn) done() {
	sc.conn.Lock()
	defer sc.conn.Unlock()
	sc.doneLocked(0)
}

// doneLocked says that a handler has returned, whose request had so many bytes,
// or the connection's goroutine.
func (sc *serverConn) doneLocked(size int) {
	if sc.handlers.End(size) {
		sc.server.conns.FreeSlot()
	}
}

// Drain lets the calls in flight finish and closes the connection then.
func (sc *serverConn) Drain() {
	var posted transport.Unwritten
	sc.conn.Lock()
	handshake := sc.conn.StateLocked() == conn.Handshake
	if sc.conn.DrainLocked() {
		posted = sc.goAwayLocked()
		sc.conn.CloseIfDoneLocked()
	}
	sc.conn.Unlock()
	posted.FlushLater()
	if handshake {
		sc.Cut()
	}
}

// Cut closes the connection at once.
func (sc *serverConn) Cut() { sc.fail(transport.ErrDone) }

// goAwayLocked tells a client that knows extensions which of its calls are the last.
func (sc *serverConn) goAwayLocked() (posted transport.Unwritten) {
	if sc.conn.Extensions().Known() {
		posted, _ = sc.conn.PostLocked(wire.GoAwayFrame(sc.lastID)) // a failure is the connection's
	}
	return posted
}

// fail closes the connection at once; the first cause counts.
// Handlers learn of it by their contexts.
func (sc *serverConn) fail(cause error) {
	var streams []*conn.Stream
	if !sc.conn.Close(cause, callerr.Closed(cause), func(call conn.Call) {
		if s := call.Receiver(); s != nil {
			streams = append(streams, s)
		}
	}) {
		return
	}
	sc.contexts.End()
	for _, s := range streams {
		s.Wake()
	}
	if t := sc.conn.Transport(); t != nil {
		t.Stop(cause)
		sc.server.logEnd(cause, "peer", sc.peer)
	}
	go sc.server.conns.Remove(sc, sc.closeNetConn)
}

// closeNetConn closes the net.Conn, and tells the end.
func (sc *serverConn) closeNetConn() {
	sc.conn.Lock()
	netConn := sc.conn.NetConn()
	sc.conn.Unlock()
	netConn.Close()
	sc.endStats()
}

// Stage implements [conns.Conn]. At the end of a bounded wait a TCP peer may still be about to
// close a connection that is flushed.
func (sc *serverConn) Stage() conns.Stage {
	sc.conn.Lock()
	defer sc.conn.Unlock()
	switch state := sc.conn.StateLocked(); {
	case state == conn.Closed, state == conn.Flushing && sc.conn.Transport().Flushed():
		return conns.Written
	case state == conn.Flushing:
		return conns.Answered
	case state != conn.Handshake && sc.handlers.AllWait(sc.callsLocked):
		return conns.Quiet
	}
	return conns.Busy
}

// shutdownWithin shuts the server down for a handler, whose call is not waited for. It is not known
// which that is where the call has the connection's context.
func (sc *serverConn) shutdownWithin(ctx context.Context) error {
	own, _ := ctx.Value(callKey{}).(*callContext)
	sc.waits(own, 1)
	defer sc.waits(own, -1)
	return sc.server.conns.ShutdownWithin(ctx)
}

func (sc *serverConn) waits(own *callContext, n int) {
	sc.conn.Lock()
	defer sc.conn.Unlock()
	sc.handlers.Waits(own, n)
}

// callsLocked ranges over the calls in flight by their contexts, nil for the connection's.
func (sc *serverConn) callsLocked(yield func(*callContext) bool) {
	for _, call := range sc.conn.CallsLocked() {
		if !yield(call.(*serverCall).own) {
			return
		}
	}
}
