package ttrpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// read hands out frames until the connection ends. While more replies than the backlog's bound are unwritten it
// reads no further requests, and hands out none that it has read.
func (sc *serverConn) read() error {
	sc.flushInline() // what the goroutine before has left
	for {
		sc.ch.awaitSpace()
		in, err := sc.recv(sc.inline.lone)
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
		sc.inline.lone = false
		for ; in != nil; in = sc.ch.buffered() {
			data = in.typ == typeData
			if err := sc.handle(in, true); err != nil {
				return err
			}
			if sc.ch.full.Load() {
				sc.flushInline() // or nobody makes space
				sc.ch.awaitSpace()
			}
		}
		sc.flushInline()
		if data && sc.retire() {
			sc.offDuty()
		}
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
func (sc *serverConn) takeDuty(ss *serverStream, solo bool) bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.failed != nil {
		return false
	}
	sc.borrowLocked(ss)
	if ss.waits > burst && sc.isAwayForLocked(ss) {
		ss.method.judge(monitorTick, 0) // who only receives is served better by a reader that reads ahead
	}
	return sc.takeLocked(ss.id, solo && sc.onlyLocked(ss.id) && sc.flow.solo())
}

// readFor is a stream's consumer on duty: it hands out frames until there is something for s, or until it is kicked.
// ctx is the consumer's. Nor does it wait for another stream's consumer, or for space with a frame in hand. A borrowed duty comes
// with frames that have been read already: they go out first, whatever there is for s.
func (sc *serverConn) readFor(ctx context.Context, s *stream) {
	sc.inline.off = true
	sc.flushInline()
	for in := sc.ch.buffered(); ; in = sc.ch.buffered() {
		if in == nil {
			if in = sc.recvFor(ctx, s); in == nil {
				break
			}
		}
		if sc.ch.full.Load() || sc.handle(in, false) != nil {
			sc.passOn()
			return
		}
	}
	sc.inline.off = false
	sc.ch.rest()
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.handOverLocked(sc.failed == nil && sc.onlyLocked(s.id))
}

// recvFor returns the next frame that such a consumer waits for, or nil when it is to stop.
func (sc *serverConn) recvFor(ctx context.Context, s *stream) *inbound {
	if len(s.ready) > 0 || sc.ch.waitSpace(ctx) != nil {
		return nil
	}
	in, err := sc.ch.recvSoon()
	if err != nil && !sc.wasKicked(err) {
		sc.fail(err)
	}
	return in
}

func (sc *serverConn) passOn() {
	sc.inline.off = false
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.passOnLocked()
}

var errWouldWait = errors.New("ttrpc: a frame has to wait")

// handle returns errTakenOver; errWouldWait for a frame that it would have to wait with, unless it may; or nil.
func (sc *serverConn) handle(in *inbound, mayWait bool) error {
	switch {
	case in.oversized:
		sc.refuse(in.stream, status.Convert(oversizedStatus(uint64(in.length), sc.server.maxRecv)), errStreamRefused)
	case in.typ == typeRequest:
		return sc.handleRequest(in)
	case in.typ == typeData:
		sc.flushInline() // before a wait
		if !sc.handleData(in, mayWait) {
			return errWouldWait
		}
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
		call.endStream() // what it has held is free before anybody hears of it
		call.recycle()
		sc.answer(in.stream, st)
		return nil
	}
	return sc.dispatch(call)
}

// handleData returns false for a frame that it would have to wait with, unless it may.
func (sc *serverConn) handleData(in *inbound, mayWait bool) bool {
	if in.stream%2 == 0 {
		sc.answerf(in.stream, codes.InvalidArgument, "StreamID must be odd for client initiated streams")
		return true
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
		return sc.deliver(&ss.stream, in, mayWait)
	}
	return true
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

func (sc *serverConn) deliver(s *stream, in *inbound, mayWait bool) bool {
	if in.flags&flagNoData == 0 && !sc.flow.deliver(s, in, mayWait, sc.allStreams, sc.failFull) {
		return false
	}
	if in.flags&flagRemoteClosed != 0 {
		s.end(nil, nil)
	}
	return true
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
