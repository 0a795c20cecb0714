package ttrpc

import (
	"context"
	"sync/atomic"
)

// serverStream is the handler's side of a stream.
type serverStream struct {
	stream
	sc     *serverConn
	method *method
	ctx    *callContext // the handler's
	sent   atomic.Int32 // messages since the last RecvMsg
	waits  int          // of RecvMsg since it last found that messages had been sent; guarded by recvMu
	run    uint64       // of the reader's, which started the handler; 0: a worker did
	waited atomic.Int64 // nanoseconds for the peer
}

// newServerStream makes the stream of a call; the message in the request, if there is one, is its first.
// A client that does not stream has sent all with it.
func newServerStream(call *serverCall) *serverStream {
	ss := &serverStream{sc: call.sc, method: call.method}
	ss.id, ss.ready, ss.flow, ss.keeps = call.id, make(chan struct{}, 1), &call.sc.flow, true
	if !call.method.streamingClient || len(call.payload) > 0 {
		f := startFrame(len(call.payload))
		f.b = append(f.b, call.payload...)
		f.seal(typeData, 0)
		ss.held = len(f.b)
		ss.flow.held.Add(int64(ss.held))
		ss.taken.Store(int64(clock())) // the consumer's second starts now
		ss.inbox.push(f)
	}
	if !call.method.streamingClient {
		ss.end(nil, nil)
	}
	return ss
}

// start makes the handler's context.
func (ss *serverStream) start(parent context.Context, timeout int64, md MD) *callContext {
	ctx := newCallContext(parent, timeout, md)
	ss.mu.Lock()
	ss.ctx = ctx
	aborted := ss.err != nil
	ss.mu.Unlock()
	if aborted {
		ctx.cancel(context.Canceled)
	}
	if timeout != 0 {
		ctx.AfterFunc(ss.rouse) // for RecvMsg; the end of the connection wakes all its streams
	}
	return ctx
}

// rouse has a consumer look at its context.
func (ss *serverStream) rouse() {
	ss.wake()
	sc := ss.sc
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if call := sc.calls[ss.id]; call != nil && call.stream == ss {
		sc.rouseLocked()
	}
}

// abort ends the stream for the handler, whatever it is doing with it.
func (ss *serverStream) abort(err error) {
	ss.kill(err)
	ss.mu.Lock()
	ctx := ss.ctx
	ss.mu.Unlock()
	if ctx != nil {
		ctx.cancel(context.Canceled)
	}
}

// RecvMsg implements [StreamServer].
func (ss *serverStream) RecvMsg(m any) error {
	ss.recvMu.Lock()
	defer ss.recvMu.Unlock()
	if ss.sent.Swap(0) > 0 {
		ss.waits = 0
	}
	for {
		ss.settle()
		data, err := ss.next()
		switch err {
		case nil:
			err = unmarshalRequest(data, m)
			ss.release()
			return err
		case errNothingYet:
			if err := ss.ctx.Err(); err != nil {
				if ss.isEnded() {
					continue // meanwhile, and that came first
				}
				return err
			}
			ss.await()
		default:
			return err
		}
	}
}

// await waits for something to happen to the stream: see the client's.
func (ss *serverStream) await() {
	began := clock()
	ss.waits++
	if ss.sc.takeDuty(ss, ss.waits <= burst) {
		ss.sc.readFor(ss.ctx, &ss.stream)
	} else {
		<-ss.ready
	}
	ss.waited.Add(int64(clock() - began))
}

// SendMsg implements [StreamServer].
func (ss *serverStream) SendMsg(m any) error {
	e, err := streamEncoder(m)
	if err != nil {
		return err
	}
	f, err := buildData(e, 0, ss.sc.server.maxSend)
	if err != nil {
		return streamMarshalError(err)
	}
	if err := ss.waitTurn(); err != nil {
		f.free()
		return err
	}
	if err := ss.post(f); err != nil {
		return err
	}
	if ss.sent.Add(1) > burst {
		ss.sc.ch.flushLater()
	} else {
		ss.sc.ch.flush(false)
	}
	return nil
}

// waitTurn waits for the turn of a message: for as long as the peer likes, so that somebody else has to read.
func (ss *serverStream) waitTurn() error {
	if ss.sc.ch.hasTurn() {
		return nil
	}
	ss.sc.leave(ss)
	began := clock()
	err := ss.sc.ch.waitTurn(ss.ctx)
	ss.waited.Add(int64(clock() - began))
	return err
}

// streamEncoder is responseEncoder for which nothing is an empty message.
func streamEncoder(m any) (encoder, error) {
	if m == nil {
		return encoder{}, nil
	}
	return responseEncoder(m)
}

// streamMarshalError leaves the refusal of an oversized message to the handler as it is.
func streamMarshalError(err error) error {
	if asOversized(err) != nil {
		return err
	}
	return marshalError(err)
}

// post takes f and sends it, as long as the stream is the connection's.
func (ss *serverStream) post(f *frame) error {
	f.setStream(ss.id)
	sc := ss.sc
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if call := sc.calls[ss.id]; call == nil || call.stream != ss {
		f.free()
		return ss.sendError()
	}
	if err := sc.ch.post(f); err != nil {
		return asClosed(err)
	}
	return nil
}

// sendError is what a message meets on a stream that is no longer in flight.
func (ss *serverStream) sendError() error {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.err != nil {
		return ss.err
	}
	return ErrStreamClosed
}

// lastFrame is the frame that ends the stream with what the handler returned.
func (ss *serverStream) lastFrame(resp any, err error) *frame {
	limit := ss.sc.server.maxSend
	if isNil(resp) {
		resp = nil
	}
	var f *frame
	if err == nil {
		f, err = ss.resultFrame(resp, limit)
	}
	if err != nil {
		return buildStatus(statusOf(err), limit)
	}
	return f
}

func (ss *serverStream) resultFrame(resp any, limit int) (*frame, error) {
	if resp == nil && ss.method.streamingServer {
		return buildEnd(), nil
	}
	e, err := streamEncoder(resp)
	if err != nil {
		return nil, err
	}
	var f *frame
	if ss.method.streamingServer {
		f, err = buildData(e, flagRemoteClosed, limit)
	} else {
		f, err = buildResponse(e, limit)
	}
	return f, marshalError(err)
}
