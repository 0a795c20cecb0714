package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// burst is how many messages a sender writes itself without receiving any; further ones are left to a flusher.
const burst = 4

// NewStream opens a stream. desc says which sides send a stream of messages. req is the request of a method
// whose client sends one message; where the client streams it may be nil, or else it is the first message.
// The deadline and the metadata of ctx travel along, and the stream ends when ctx does.
//
// The stream's resources are freed when the server ends it, RecvMsg has returned an error, or ctx ends:
// callers do one of these. Errors are those of [Client.Call]; the server's status comes from RecvMsg.
func (c *Client) NewStream(ctx context.Context, desc *StreamDesc, service, method string, req any) (ClientStream, error) {
	if c.streamInterceptor != nil {
		return c.streamInterceptor(ctx, desc, service, method, req, c.openStream)
	}
	return c.openStream(ctx, desc, service, method, req)
}

func (c *Client) openStream(ctx context.Context, desc *StreamDesc, service, method string, req any) (ClientStream, error) {
	var e encoder
	if req != nil {
		var err error
		if e, err = encoderFor(req); err != nil {
			return nil, err
		}
	}
	flags := uint8(flagRemoteClosed)
	if desc.StreamingClient {
		flags = flagRemoteOpen
		if e.size == 0 {
			flags |= flagNoData
		}
	}
	f, err := c.requestFrame(ctx, service, method, e, flags)
	if err != nil {
		return nil, err
	}
	cs := &clientStream{c: c, ctx: ctx, sends: desc.StreamingClient, sendClosed: !desc.StreamingClient}
	cs.stream.ready = make(chan struct{}, 1)
	cs.stream.flow = &c.flow
	cs.stream.noData = !desc.StreamingServer
	if _, err := c.send(ctx, &cs.stream, f); err != nil {
		return nil, err
	}
	cs.watch(ctx, cs.abandon)
	if req != nil && e.size == 0 && desc.StreamingClient { // a Request cannot tell an empty message from none
		if err := cs.SendMsg(req); err != nil && !errors.Is(err, ErrStreamClosed) {
			return nil, err
		}
	}
	return cs, nil
}

// clientStream is the user's side of a stream.
type clientStream struct {
	stream
	c          *Client
	ctx        context.Context
	sends      bool         // the client streams
	sendClosed bool         // nothing more may be sent; guarded by the client's lock
	sent       atomic.Int32 // messages since the last RecvMsg
	waits      int          // of RecvMsg since it last found that messages had been sent; guarded by recvMu
}

// abandon ends the stream for its context. The server is not told: there is no frame for it that could not be
// taken for an orderly end, but it has the deadline.
func (cs *clientStream) abandon() {
	cs.c.endCall(cs.id, cs.ctx.Err())
	cs.c.mu.Lock()
	defer cs.c.mu.Unlock()
	cs.c.rouseLocked() // it may be this stream's consumer
}

// CloseSend implements [ClientStream].
func (cs *clientStream) CloseSend() error {
	if !cs.sends {
		return fmt.Errorf("%w: cannot close non-streaming client", ErrProtocol)
	}
	err := cs.post(buildEnd(), true)
	if err == errStreamOver {
		return nil // the server has ended the stream, which may not be told any more
	}
	if err != nil {
		return err
	}
	cs.c.ch.flush(cs.ctx.Done() == nil)
	return cs.c.ch.waitWritten(cs.ctx) // a flusher may be at it: what was sent is on its way, even if the process ends now
}

// SendMsg implements [ClientStream].
func (cs *clientStream) SendMsg(m any) error {
	if !cs.sends {
		return fmt.Errorf("%w: cannot send data from non-streaming client", ErrProtocol)
	}
	var e encoder // of nothing: a nil message is sent as an empty one
	if m != nil {
		var err error
		if e, err = encoderFor(m); err != nil {
			return err
		}
	}
	f, err := buildData(e, 0, cs.c.maxSend)
	if err != nil {
		return err
	}
	if err := cs.c.ch.waitTurn(cs.ctx); err != nil {
		f.free()
		return err
	}
	if err := cs.post(f, false); err != nil {
		if err == errStreamOver {
			err = cs.sendError()
		}
		return err
	}
	if cs.sent.Add(1) > burst {
		cs.c.ch.flushLater()
	} else {
		cs.c.ch.flush(cs.ctx.Done() == nil)
	}
	return nil
}

// post takes f and sends it, unless the stream is closed for sending, over, or its connection gone. The check
// and the post are one step under the client's lock: after the server's final frame has been seen nothing
// goes out, for some servers crash on that.
func (cs *clientStream) post(f *frame, last bool) error {
	c := cs.c
	f.setStream(cs.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	switch {
	case c.failed != nil:
		err = c.failed
	case cs.sendClosed:
		err = ErrStreamClosed
	case c.streams[cs.id] == nil:
		err = errStreamOver
	}
	cs.sendClosed = cs.sendClosed || last
	if err != nil {
		f.free()
		return err
	}
	if err := c.ch.post(f); err != nil {
		return asClosed(err)
	}
	return nil
}

// sendError is what a message meets on a stream that is over: the error that this side ended it with, or
// ErrStreamClosed after the server's end, of which RecvMsg knows more.
func (cs *clientStream) sendError() error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.err == nil || cs.answered {
		return ErrStreamClosed
	}
	return cs.err
}

// RecvMsg implements [ClientStream].
func (cs *clientStream) RecvMsg(m any) error {
	cs.recvMu.Lock()
	defer cs.recvMu.Unlock()
	if cs.sent.Swap(0) > 0 {
		cs.waits = 0
	}
	for {
		cs.settle()
		data, err := cs.next()
		switch err {
		case nil:
			err = unmarshal(data, m)
			cs.release()
			return err
		case errNothingYet:
			cs.await()
		case errAnswered:
			return cs.takeAnswer(m)
		default:
			return err
		}
	}
}

// await waits for something to happen to the stream. A consumer that also sends reads for itself when it can; one
// that only receives gains more from a goroutine that reads ahead.
func (cs *clientStream) await() {
	cs.waits++
	if cs.c.takeDuty(cs.id, cs.waits <= burst) {
		cs.c.readFor(&cs.stream)
		return
	}
	<-cs.ready
}

// takeAnswer decodes the Response that ended the stream. After a message every further RecvMsg returns io.EOF,
// after a failure that failure again.
func (cs *clientStream) takeAnswer(m any) error {
	cs.mu.Lock()
	reply := cs.reply
	cs.reply = nil
	cs.mu.Unlock()
	defer reply.free()
	err := decodeReply(cs.ctx, reply.data(), m)
	if err != nil {
		cs.mu.Lock()
		cs.err, cs.answered = err, true
		cs.mu.Unlock()
	}
	return err
}
