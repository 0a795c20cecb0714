package ttrpc

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serverConn is one accepted connection. Its goroutine does the handshake, then reads; calls run on workers, or in it.
//
// A call is in calls from before it starts until somebody removes it, which is the claim to answer it: its
// own goroutine with the result, or the reader, for a peer that broke the protocol in it. active counts handlers, so
// a call that was answered for its handler still counts until the handler returns.
type serverConn struct {
	server *Server
	base   context.Context // Serve's
	rota
	flow   inflow
	inline inline
	lastID uint32 // the highest id a Request has had; the reader's

	mu        sync.Mutex // guards all below and the rota, whose channel is nil until the handshake is done; taken before the channel's lock
	conn      net.Conn
	calls     map[uint32]*serverCall
	active    int             // handlers that have not returned
	requests  int             // bytes of their requests
	ctx       context.Context // parent of all calls' contexts; nil until the first
	cancel    context.CancelFunc
	handshake any
	closed    bool  // conn has been closed, or is being
	draining  bool  // no further calls; to be closed when the last is answered
	failed    error // the connection is closed, or about to be
	reading   bool  // the goroutine has not ended
	done      bool  // the server has been told that it is over
}

func newServerConn(s *Server, ctx context.Context, conn net.Conn) *serverConn {
	return &serverConn{server: s, base: ctx, conn: conn, reading: true}
}

// run is the connection's goroutine.
func (sc *serverConn) run() {
	if err := sc.start(); err != nil {
		sc.server.log("ttrpc: connection refused", "error", err)
		sc.fail(err)
		sc.finished()
		return
	}
	sc.readOn()
}

// readOn reads to the end of the connection, or until another goroutine takes over.
func (sc *serverConn) readOn() {
	sc.inline.pace = pace{}
	err := sc.read()
	if err == errTakenOver {
		return
	}
	if sc.isDraining() {
		err = errConnDone // whatever it is, it was meant to end
	}
	sc.fail(err)
	sc.ch.discard()
	sc.report()
	sc.finished()
}

func (sc *serverConn) isDraining() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.draining
}

// finished says that nobody reads any more.
func (sc *serverConn) finished() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.reading = false
	sc.settleLocked()
}

// report logs why the connection ended, if not by being closed.
func (sc *serverConn) report() {
	sc.mu.Lock()
	err := sc.failed
	sc.mu.Unlock()
	if !isOrderly(err) {
		sc.server.log("ttrpc: connection failed", "error", err)
	}
}

// start does the handshake and makes the channel.
func (sc *serverConn) start() error {
	s, conn := sc.server, sc.conn
	var data any
	if s.handshaker != nil {
		ctx := sc.handshakeContext()
		var err error
		conn, data, err = runHandshake(ctx, s.handshaker, conn, s.handshakeTimeout)
		sc.endHandshake()
		if err != nil {
			return err
		}
	}
	ch := newChannel(conn, s.maxRecv, s.backlog, sc.fail)
	sc.flow.init(s.streamBuffer, s.connBuffer)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.conn, sc.handshake, sc.closed = conn, data, false
	sc.rota.init(&sc.mu, ch, sc.readOn)
	sc.settleLocked()
	return nil
}

// handshakeContext ends with the handshake's connection. Calls have a context of their own.
func (sc *serverConn) handshakeContext() context.Context {
	ctx, cancel := context.WithCancel(sc.base)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.cancel = cancel
	sc.settleLocked()
	return ctx
}

func (sc *serverConn) endHandshake() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.cancel()
	sc.cancel = nil
}

// begin registers a call, or says what to answer instead.
func (sc *serverConn) begin(call *serverCall) *status.Status {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	switch {
	case sc.draining || sc.failed != nil:
		return status.New(codes.Unavailable, ErrServerClosed.Error())
	case sc.active >= sc.server.maxCalls:
		return status.Newf(codes.ResourceExhausted, "ttrpc: more than %d calls in flight", sc.server.maxCalls)
	case sc.requests > 0 && sc.requests+call.size > sc.server.requestBuffer:
		return status.Newf(codes.ResourceExhausted, "ttrpc: requests in flight exceed %d bytes", sc.server.requestBuffer)
	}
	if sc.ctx == nil {
		sc.makeContextLocked()
	}
	if sc.calls == nil {
		sc.calls = make(map[uint32]*serverCall)
	}
	sc.calls[call.id] = call
	sc.active++
	sc.requests += call.size
	call.parent, call.alone = sc.ctx, sc.active == 1
	return nil
}

func (sc *serverConn) makeContextLocked() {
	ctx, cancel := context.WithCancel(sc.base)
	sc.ctx, sc.cancel = ctx, cancel
	if sc.handshake != nil {
		sc.ctx = &connContext{Context: ctx, handshake: sc.handshake}
	}
	context.AfterFunc(ctx, sc.wakeStreams)
}

// wakeStreams has handlers in RecvMsg look at their context.
func (sc *serverConn) wakeStreams() {
	for _, s := range sc.allStreams() {
		s.wake()
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.rouseLocked()
}

// finish posts the answer of a call whose handler has returned, unless somebody has answered for it, and counts
// it down. It takes f. The caller owns the call from then on. Somebody has to flush then; crowd: other calls are
// in flight.
func (sc *serverConn) finish(call *serverCall, f *frame) (crowd bool) {
	f.setStream(call.id)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.calls[call.id] == call {
		delete(sc.calls, call.id)
		_ = sc.ch.post(f) // a failed channel fails the connection itself
	} else {
		f.free()
	}
	if call.stream != nil {
		call.endStream()
		sc.rouseLocked() // a goroutine that the handler has left behind
		if !sc.isAwayForLocked(call.stream) {
			sc.attendLocked()
		}
	}
	sc.active--
	sc.requests -= call.size
	sc.settleLocked()
	return sc.active > 0
}

// drain lets the calls in flight finish and closes the connection then.
func (sc *serverConn) drain() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.draining = true
	sc.settleLocked()
}

// fail closes the connection at once; the first cause counts.
func (sc *serverConn) fail(err error) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.failed != nil {
		return
	}
	sc.failed = err
	sc.settleLocked()
}

// settleLocked is the one place that closes the connection, and that reports its end: called whenever something
// changed that it looks at.
//
//	failed                           closed at once
//	draining and no handler active   closed when the last answer is written
//	closed, no goroutine, no handler done
func (sc *serverConn) settleLocked() {
	if sc.failed != nil {
		sc.cutLocked()
	} else if sc.draining && sc.active == 0 {
		if sc.ch == nil {
			sc.closeLocked()
			sc.cancelLocked()
		} else {
			sc.ch.closeWhenFlushed()
		}
	}
	if sc.failed != nil && !sc.reading && sc.active == 0 && !sc.done {
		sc.done = true
		sc.server.connDone(sc)
	}
}

// cutLocked ends what hangs on the connection, and closes it: last, for with SO_LINGER that may take its time. Doing it again does
// nothing.
func (sc *serverConn) cutLocked() {
	sc.cancelLocked()
	if sc.ch != nil {
		sc.attendLocked()
		sc.ch.stop(sc.failed)
		sc.flow.close()
	}
	sc.closeLocked()
}

// closeLocked closes the connection, once. One of the user's may take its time, as TLS does with a stuck peer, and
// must not hold up others meanwhile.
func (sc *serverConn) closeLocked() {
	switch {
	case sc.closed:
	case rawConn(sc.conn) != nil:
		sc.conn.Close()
	default:
		go sc.conn.Close()
	}
	sc.closed = true
}

// cancelLocked ends the handshake's context, and after the handshake that of all calls.
func (sc *serverConn) cancelLocked() {
	if sc.cancel != nil {
		sc.cancel()
	}
}
