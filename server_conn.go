package ttrpc

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/callctx"
	"github.com/containerd/ttrpc/internal/streamids"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// serverConn is a connection that a server has accepted. Its goroutine does the handshake, then
// reads; calls run on workers. Whoever removes a call from calls answers it: its own goroutine with
// the result, or the reader, for a peer that broke the protocol in it.
type serverConn struct {
	conn
	server *Server
	base   context.Context // Serve's
	peer   string          // who it is, for the log
	over   chan struct{}   // closed when it counts as closed; nil unless ServeConn waits for that
	stats  connStats

	outlived   callctx.Outlived // of unary calls, for goroutines that handlers have left behind
	ids        streamids.Set    // of the Requests so far; the reader's
	own        *serverCall      // what a worker that reads has read for itself; the reader's
	inlineConn                  //inline:

	// The lock of conn guards all below. The connection is over when it is closed and running is 0.
	running    int    // handlers that have not returned, and the connection's goroutine
	requests   int    // bytes of the handlers' requests
	lastID     uint32 // the highest id of a call so far
	marked     bool   // the first Response or Data is posted
	inShutdown int    // goroutines of handlers that have called Shutdown, and wait
	ctx        *connContext
	cancel     context.CancelFunc // ends ctx, the parent of calls' contexts; nil until one is needed
	handshake  any                // what the handshake has returned beside the conn
}

func newServerConn(s *Server, ctx context.Context, netConn net.Conn) *serverConn {
	sc := &serverConn{server: s, base: ctx, running: 1}
	sc.netConn, sc.state, sc.since = netConn, connHandshake, time.Now()
	if s.logger != nil {
		sc.peer = s.describe(netConn)
	}
	return sc
}

// beginStats tells the begin. The connection may have been closed meanwhile.
func (sc *serverConn) beginStats(by teller) {
	ctx := by.beginConn(sc.base, &sc.stats, sc.netConn, false)
	sc.mu.Lock()
	sc.base = ctx
	sc.mu.Unlock()
	sc.stats.begun(by, sc.endCause)
}

// endCause is why the connection is closed.
func (sc *serverConn) endCause() error {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.cause
}

// finished is called by the last one that was the loop.
func (sc *serverConn) finished() { sc.done() }

// recvFailed takes whatever ends a connection that drains for what was meant. (A Client's asks
// whether the server has ever spoken.)
func (sc *serverConn) recvFailed(err error) {
	if sc.isDraining() {
		err = transport.ErrDone // whatever it is, it was meant to end
	}
	sc.fail(err)
}

func (sc *serverConn) isDraining() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.state == connDraining || sc.state == connFlushing
}

// start does the handshake and makes the transport.
func (sc *serverConn) start() error {
	s, netConn := sc.server, sc.netConn
	var data any
	if s.handshake != nil {
		running := sc.context()
		var err error
		if netConn, data, err = s.handshake(sc.base, running, sc.cancel, netConn, s.handshakeTimeout); err != nil {
			return err
		}
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.state == connClosed { // meanwhile
		netConn.Close()
		return ErrServerClosed
	}
	sc.ext.Init(s.extensions.initial())
	sc.open(netConn, sc, false, &s.limits, sc.fail)
	sc.handshake, sc.state = data, connOpen
	return nil
}

// context is the parent of the contexts of all calls: it ends with the connection.
// The handshake has it too.
func (sc *serverConn) context() context.Context {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.contextLocked()
}

func (sc *serverConn) contextLocked() context.Context {
	if sc.ctx == nil {
		ctx, cancel := context.WithCancel(sc.base)
		sc.ctx, sc.cancel = &connContext{ctx, sc}, cancel
		context.AfterFunc(ctx, sc.wakeStreams)
	}
	return sc.ctx
}

func (sc *serverConn) handshakeData() any { return sc.handshake }
func (sc *serverConn) ends() net.Conn     { return sc.netConn }

// wakeStreams has handlers in RecvMsg look at their context.
func (sc *serverConn) wakeStreams() {
	for _, s := range sc.streams() {
		s.half.Wake()
	}
}

// begin registers a call that its client has begun, within the server's limits, or says what to
// answer instead. (A Client's gives a call its id, and posts its Request.)
func (sc *serverConn) begin(call *serverCall) *status.Status {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	switch {
	case sc.state != connOpen, sc.server.conns.IsDone():
		return status.New(codes.Unavailable, ErrServerClosed.Error())
	case sc.running > sc.server.maxCalls:
		return status.Newf(codes.ResourceExhausted, "ttrpc: more than %d calls in flight", sc.server.maxCalls)
	case sc.requests > 0 && sc.requests+call.size > sc.server.requestBuffer:
		return status.Newf(codes.ResourceExhausted, "ttrpc: requests in flight exceed %d bytes", sc.server.requestBuffer)
	}
	sc.registerLocked(call.id, call)
	sc.lastID = max(sc.lastID, call.id)
	sc.running++
	sc.requests += call.size
	call.prepare(sc.contextLocked(), sc.ext.Used())
	return nil
}

// post takes the answer of a call whose handler has returned, unless somebody has answered for it.
// The handler counts no more from then on: others may write the answer at once, and whoever has it
// may make the next call.
func (sc *serverConn) post(call *serverCall, f *wire.Frame) (posted transport.Unwritten) {
	f.SetStream(call.id)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.doneLocked(call.size)
	if sc.calls[call.id] == call {
		delete(sc.calls, call.id)
		posted, _ = sc.postLocked(f) // one that has failed fails the connection itself
	} else {
		f.Free()
	}
	sc.closeIfDoneLocked()
	if sc.state != connOpen {
		sc.server.progress.Signal()
	}
	return posted
}

// postLocked posts a Response or Data. The connection's first one says that this server knows
// extensions.
func (sc *serverConn) postLocked(f *wire.Frame) (transport.Unwritten, error) {
	if !sc.marked && sc.ext.Used() {
		f.SetFlag(wire.FlagExtensions)
	}
	sc.marked = true
	return sc.t.Post(f)
}

// noteAnswered closes a connection that drains, if that was its last call, and tells Shutdown.
func (sc *serverConn) noteAnswered() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.closeIfDoneLocked()
	sc.server.progress.Signal()
}

// done says that the connection's goroutine has ended.
func (sc *serverConn) done() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.doneLocked(0)
}

// doneLocked says that a handler has returned, whose request had so many bytes,
// or the connection's goroutine.
func (sc *serverConn) doneLocked(size int) {
	sc.running--
	sc.requests -= size
	if sc.running == 0 { // and closed, for its goroutine has ended
		sc.server.conns.FreeSlot()
	}
}

// drain lets the calls in flight finish and closes the connection then.
func (sc *serverConn) drain() {
	var posted transport.Unwritten
	sc.mu.Lock()
	handshake := sc.state == connHandshake
	if sc.state == connOpen {
		sc.state = connDraining
		posted = sc.goAwayLocked()
		sc.closeIfDoneLocked()
	}
	sc.mu.Unlock()
	posted.FlushLater()
	if handshake {
		sc.fail(transport.ErrDone)
	}
}

// goAwayLocked tells a client that knows extensions which of its calls are the last.
func (sc *serverConn) goAwayLocked() (posted transport.Unwritten) {
	if sc.ext.Known() {
		posted, _ = sc.t.Post(wire.GoAwayFrame(sc.lastID)) // a failure is the connection's
	}
	return posted
}

// closeIfDoneLocked closes a connection that drains, when its last call has been answered.
func (sc *serverConn) closeIfDoneLocked() {
	if sc.state == connDraining && len(sc.calls) == 0 {
		sc.state = connFlushing
		sc.t.CloseWhenFlushed()
	}
}

// fail closes the connection at once; the first cause counts.
// Handlers learn of it by their contexts.
func (sc *serverConn) fail(cause error) {
	receivers, first := sc.close(cause)
	if !first {
		return
	}
	sc.mu.Lock()
	cancel := sc.cancel
	sc.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	for _, s := range receivers {
		s.half.Wake()
	}
	if sc.t != nil {
		sc.t.Stop(cause)
		sc.server.logEnd(cause, "peer", sc.peer)
	}
	go sc.closeNetConn()
}

// closeGrace is how long the closing of a net.Conn is waited for.
const closeGrace = 100 * time.Millisecond

// closeNetConn closes the net.Conn. That takes its time with SO_LINGER, with descriptors of the
// peer's that wait in the socket, and with a conn of the user's, as TLS with a stuck peer: the
// server does not wait for ever.
func (sc *serverConn) closeNetConn() {
	sc.mu.Lock()
	netConn := sc.netConn
	sc.mu.Unlock()
	timer := time.AfterFunc(closeGrace, func() { sc.server.connClosed(sc) })
	netConn.Close()
	sc.stats.end(sc.server.stats, sc.endCause())
	timer.Stop()
	sc.server.connClosed(sc)
}

// isAnswered reports whether all calls on the connection have been answered, and the answers are
// written. At the end of a bounded wait a TCP peer may still be about to close.
func (sc *serverConn) isAnswered() (answered, written bool) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	switch sc.state {
	case connClosed:
		return true, true
	case connFlushing:
		return true, sc.t.Flushed()
	}
	return false, false
}

// waitsForSelf counts a handler that is in Shutdown, or has left it:
// its own call is not waited for there. own is nil where the call has the connection's context.
func (sc *serverConn) waitsForSelf(own *callContext, n int) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.inShutdown += n
	if own != nil {
		own.inShutdown += n
	}
}

// isQuiet reports whether nothing is in flight but calls whose handlers are in Shutdown. Of these
// some calls may be in flight no more (cancelled), and some count twice, so their number alone
// does not say it.
func (sc *serverConn) isQuiet() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.state == connHandshake || len(sc.calls) > sc.inShutdown {
		return false
	}
	for _, c := range sc.calls {
		if own := c.(*serverCall).own; own != nil && own.inShutdown == 0 {
			return false
		}
	}
	return true
}
