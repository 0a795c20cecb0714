package ttrpc

import (
	"context"
	"net"
	"runtime"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serverConn is one accepted connection. Its goroutine does the handshake, then reads; calls run on workers.
//
// A call is in calls from before it starts until somebody removes it, which is the claim to answer it: its
// own worker with the result, or the reader, for a peer that broke the protocol in it. active counts workers, so
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
	sc.conn, sc.handshake = conn, data
	sc.rota.init(&sc.mu, ch)
	if sc.failed != nil {
		conn.Close()
	}
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

// read hands out frames until the connection ends. While more replies than the backlog's bound are unwritten it
// reads no further requests.
func (sc *serverConn) read() error {
	for {
		in, err := sc.ch.recv()
		switch {
		case err == nil:
		case !sc.wasKicked(err):
			return err
		case sc.inline.renew.CompareAndSwap(true, false):
			go sc.readOn()
			return errTakenOver
		default:
			continue
		}
		data := false
		for ; in != nil; in = sc.ch.buffered() {
			data = in.typ == typeData
			if err := sc.handle(in); err != nil {
				return err
			}
		}
		if data && sc.retire() {
			sc.offDuty()
		}
		_ = sc.ch.waitSpace(context.Background()) // which has no error; a failed channel has space
	}
}

// retire gives up the duty to the consumer of the only stream.
func (sc *serverConn) retire() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.failed == nil && sc.retireLocked(sc.onlyLocked(sc.loner))
}

// onlyLocked reports whether nothing is in flight but the call of this id.
func (sc *serverConn) onlyLocked(id uint32) bool { return sc.active == 1 && sc.calls[id] != nil }

// takeDuty is for the consumer of a stream that waits.
func (sc *serverConn) takeDuty(id uint32, solo bool) bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.failed != nil {
		return false
	}
	return sc.takeLocked(id, solo && sc.onlyLocked(id) && sc.flow.solo())
}

// readFor is a stream's consumer on duty: it hands out frames until there is something for s, or until it is kicked.
func (sc *serverConn) readFor(s *stream) {
	sc.inline.off = true
	for len(s.ready) == 0 {
		in, err := sc.ch.recv()
		if err != nil {
			if !sc.wasKicked(err) {
				sc.fail(err)
			}
			break
		}
		for ; in != nil; in = sc.ch.buffered() {
			_ = sc.handle(in) // no error: no call is run here
		}
		_ = sc.ch.waitSpace(context.Background())
	}
	sc.inline.off = false
	sc.ch.rest()
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.handOverLocked(sc.failed == nil && sc.onlyLocked(s.id))
}

// handle returns errTakenOver, or nil.
func (sc *serverConn) handle(in *inbound) error {
	switch {
	case in.oversized:
		sc.refuse(in.stream, status.Convert(oversizedStatus(uint64(in.length), sc.server.maxRecv)), errStreamRefused)
	case in.typ == typeRequest:
		return sc.handleRequest(in)
	case in.typ == typeData:
		sc.handleData(in)
	}
	return nil
}

func (sc *serverConn) handleRequest(in *inbound) error {
	if in.stream%2 == 0 {
		sc.answerf(in.stream, codes.InvalidArgument, "StreamID must be odd for client initiated streams")
		return nil
	}
	if in.stream <= sc.lastID {
		sc.answerf(in.stream, codes.InvalidArgument, "StreamID cannot be re-used and must increment")
		return nil
	}
	sc.lastID = in.stream
	v, err := parseRequest(in.data())
	if err != nil {
		sc.answerf(in.stream, codes.InvalidArgument, "unmarshal request error: %v", requestError(in.data()))
		return nil
	}
	m, st := sc.server.registry.find(v.service, v.method)
	if st != nil {
		sc.answer(in.stream, st)
		return nil
	}
	call := newServerCall(sc, m, in, v)
	if st := sc.begin(call); st != nil {
		sc.answer(in.stream, st)
		call.endStream()
		call.recycle()
		return nil
	}
	return sc.dispatch(call)
}

func (sc *serverConn) handleData(in *inbound) {
	if in.stream%2 == 0 {
		sc.answerf(in.stream, codes.InvalidArgument, "StreamID must be odd for client initiated streams")
		return
	}
	live, ss := sc.lookup(in.stream)
	switch {
	case !live:
		sc.answerf(in.stream, codes.InvalidArgument, "StreamID is no longer active")
	case ss == nil:
		sc.refuse(in.stream, status.New(codes.InvalidArgument, "data handling error: not a streaming call"), errStreamRefused)
	case ss.isEnded():
		sc.refuse(in.stream, status.Newf(codes.InvalidArgument, "data handling error: %v", ErrStreamClosed), ErrStreamClosed)
	default:
		sc.deliver(&ss.stream, in)
	}
}

// lookup finds a call in flight, and its stream if it is one.
func (sc *serverConn) lookup(id uint32) (live bool, ss *serverStream) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.servedLocked(id)
	call := sc.calls[id]
	if call == nil {
		return false, nil
	}
	return true, call.stream
}

func (sc *serverConn) deliver(s *stream, in *inbound) {
	if in.flags&flagNoData == 0 {
		sc.flow.deliver(s, in, sc.allStreams, sc.failFull)
	}
	if in.flags&flagRemoteClosed != 0 {
		s.end(nil, nil)
	}
}

func (sc *serverConn) allStreams() []*stream {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	all := make([]*stream, 0, len(sc.calls))
	for _, call := range sc.calls {
		if call.stream != nil {
			all = append(all, &call.stream.stream)
		}
	}
	return all
}

func (sc *serverConn) failFull(s *stream) {
	sc.refuse(s.id, status.New(codes.ResourceExhausted, ErrStreamFull.Error()), ErrStreamFull)
}

// answer sends a status for an id that is no call's. The reader does not write: a flusher does.
func (sc *serverConn) answer(id uint32, st *status.Status) {
	f := buildStatus(st.Proto(), sc.server.maxSend)
	f.setStream(id)
	if sc.ch.post(f) == nil {
		sc.ch.flushLater()
	}
}

func (sc *serverConn) answerf(id uint32, code codes.Code, format string, args ...any) {
	sc.answer(id, status.Newf(code, format, args...))
}

// refuse answers a status for an id, and if that is a call in flight, claims it: a stream ends with err, its
// handler's context is cancelled, and what the handler returns goes nowhere.
func (sc *serverConn) refuse(id uint32, st *status.Status, err error) {
	sc.mu.Lock()
	var ss *serverStream
	if call := sc.calls[id]; call != nil {
		ss = call.stream
		delete(sc.calls, id)
	}
	sc.mu.Unlock()
	if ss != nil {
		ss.abort(err)
	}
	sc.answer(id, st)
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
// it down. It takes f. The caller owns the call from then on.
func (sc *serverConn) finish(call *serverCall, f *frame) {
	f.setStream(call.id)
	sc.mu.Lock()
	if sc.calls[call.id] == call {
		delete(sc.calls, call.id)
		_ = sc.ch.post(f) // a failed channel fails the connection itself
	} else {
		f.free()
	}
	if call.stream != nil {
		call.endStream()
		sc.rouseLocked() // a goroutine that the handler has left behind
		sc.attendLocked()
	}
	sc.active--
	sc.requests -= call.size
	crowd := sc.active > 0
	sc.settleLocked()
	sc.mu.Unlock()
	if crowd {
		runtime.Gosched() // let others join this write
	}
	sc.ch.flush(true)
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
			sc.conn.Close()
			sc.cancelLocked()
		} else {
			sc.dying = true
			sc.ch.closeWhenFlushed()
		}
	}
	if sc.failed != nil && !sc.reading && sc.active == 0 && !sc.done {
		sc.done = true
		sc.server.connDone(sc)
	}
}

// cutLocked closes the connection and ends what hangs on it. Doing it again does nothing.
func (sc *serverConn) cutLocked() {
	sc.conn.Close()
	if sc.ch != nil {
		sc.attendLocked()
		sc.ch.stop(sc.failed)
		sc.flow.close()
	}
	sc.cancelLocked()
}

// cancelLocked ends the handshake's context, and after the handshake that of all calls.
func (sc *serverConn) cancelLocked() {
	if sc.cancel != nil {
		sc.cancel()
	}
}
