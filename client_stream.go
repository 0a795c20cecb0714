package ttrpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// NewStream opens a stream. desc says which sides send a stream of messages. req is the request of
// a method whose client sends one message; where the client streams it may be nil, or else it is
// the first message. The deadline and the metadata of ctx travel along,
// and the stream ends when ctx does.
//
// The stream's resources are freed when the server ends it, RecvMsg has returned an error, or ctx
// ends: callers do one of these. Errors are those of [Client.Call];
// the server's status comes from RecvMsg.
func (c *Client) NewStream(ctx context.Context, desc *StreamDesc, service, method string, req any) (ClientStream, error) {
	if c.stats == nil {
		return c.newStream(ctx, nil, desc, service, method, req)
	}
	st, ctx := c.stats.beginCall(ctx, CallInfo{
		Client: true, FullMethod: fullMethod(service, method),
		StreamingClient: desc.StreamingClient, StreamingServer: desc.StreamingServer,
	})
	cs, err := c.newStream(ctx, st, desc, service, method, req)
	if err != nil || st.remote.Load() == nil { // an interceptor may have one of its own
		st.end(err)
	}
	return cs, err
}

func (c *Client) newStream(
	ctx context.Context, st *callStats, desc *StreamDesc, service, method string, req any,
) (ClientStream, error) {
	if c.streamInterceptor == nil {
		return c.openStream(ctx, st, desc, service, method, req)
	}
	return c.streamInterceptor(ctx, desc, service, method, req,
		func(ctx context.Context, desc *StreamDesc, service, method string, req any) (ClientStream, error) {
			return c.openStream(ctx, st, desc, service, method, req)
		})
}

func (c *Client) openStream(
	ctx context.Context, st *callStats, desc *StreamDesc, service, method string, req any,
) (ClientStream, error) {
	if c.redial == nil {
		return c.startStream(ctx, st, desc, service, method, req)
	}
	var cs ClientStream
	err := c.redial.repeat(ctx, func(c *Client) (err error) {
		cs, err = c.startStream(ctx, st, desc, service, method, req)
		return err
	})
	return cs, err
}

// startStream opens a stream on the client's own connection.
func (c *Client) startStream(
	ctx context.Context, st *callStats, desc *StreamDesc, service, method string, req any,
) (ClientStream, error) {
	e, err := optionalEncoder(req)
	if err != nil {
		return nil, err
	}
	f, err := c.requestFrame(ctx, service, method, e, openingFlags(desc, e))
	if err != nil {
		return nil, err
	}
	cs := &clientStream{c: c, ctx: ctx}
	cs.kind, cs.stats = streamKind(desc.StreamingClient, desc.StreamingServer), st
	cs.half.InitStream(&c.inflow, recv.UntilEnded)
	c.ease() // streams may have ended that nobody has read
	cs.name = callName{service, method, transport.Clock()}
	sizes := payloadSizes{e.Size(), f.Len()}
	if err := c.send(ctx, &cs.stream, f); err != nil {
		return nil, err
	}
	if ctx.Done() != nil { // or else the method's value costs an allocation for nothing
		cs.half.Watch(ctx, cs.abandon)
	}
	st.on(c.netConn)
	st.endWith(ctx)
	switch {
	case req == nil:
	case e.Size() == 0 && desc.StreamingClient: // a Request cannot tell an empty message from none
		if err := cs.SendMsg(req); err != nil && !errors.Is(err, ErrStreamClosed) {
			return nil, err
		}
	default:
		st.out(req, sizes)
	}
	return cs, nil
}

// optionalEncoder is EncoderFor for which nil is an empty message.
func optionalEncoder(m any) (codec.Encoder, error) {
	if m == nil {
		return codec.Encoder{}, nil
	}
	return codec.EncoderFor(m)
}

// openingFlags says in a Request what the client will send.
func openingFlags(desc *StreamDesc, e codec.Encoder) uint8 {
	switch {
	case !desc.StreamingClient:
		return wire.FlagRemoteClosed
	case e.Size() == 0:
		return wire.FlagRemoteOpen | wire.FlagNoData
	}
	return wire.FlagRemoteOpen
}

// clientStream is the user's side of a stream.
type clientStream struct {
	stream
	c   *Client
	ctx context.Context
}

// abandon ends the stream for its context. A server that knows no extensions is not told: there is
// no frame for it that could not be taken for an orderly end, but it has the deadline.
func (cs *clientStream) abandon() { cs.c.giveUp(cs.id, cs.ctx.Err()) }

// CloseSend implements [ClientStream].
func (cs *clientStream) CloseSend() error {
	if !cs.kind.clientStreams() {
		return fmt.Errorf("%w: cannot close non-streaming client", ErrProtocol)
	}
	posted, err := cs.post(cs, wire.EndFrame())
	if err == errStreamOver {
		return nil // the server has ended the stream, which may not be told any more
	}
	if err != nil {
		return err
	}
	posted.Flush(cs.ctx.Done() == nil)
	// Another goroutine may be at it: what was sent is on its way when this returns,
	// even if the process ends.
	return cs.c.t.WaitWritten(cs.ctx, cs.c.t.Posted())
}

// SendMsg implements [ClientStream].
func (cs *clientStream) SendMsg(m any) error {
	if !cs.kind.clientStreams() {
		return fmt.Errorf("%w: cannot send data from non-streaming client", ErrProtocol)
	}
	return cs.send(cs.ctx, cs, m, cs.ctx.Done() == nil)
}

func (cs *clientStream) encoder(m any) (codec.Encoder, error) { return optionalEncoder(m) }
func (cs *clientStream) marshalError(err error) error         { return err }

// errStreamOver is what CloseSend meets on a stream that is no longer in flight.
var errStreamOver = errors.New("ttrpc: stream over")

// refuseLocked refuses, too, what comes after the server's last frame: some servers crash on that.
func (cs *clientStream) refuseLocked(last bool) (err error) {
	c := cs.c
	switch {
	case c.state == connClosed:
		err = asClosed(c.cause)
	case cs.outgoing.IsClosed():
		err = ErrStreamClosed
	case c.calls[cs.id] != nil:
	case last:
		err = errStreamOver
	default:
		err = cs.overError()
	}
	if last {
		cs.outgoing.Close()
	}
	return err
}

// postLocked notes what Close has to wait for.
func (cs *clientStream) postLocked(f *wire.Frame) (transport.Unwritten, error) {
	c := cs.c
	posted, err := c.t.Post(f)
	if err != nil {
		return posted, err
	}
	posted = c.greetLocked(cs.id, posted)
	c.sentStream = c.t.Posted()
	return posted, nil
}

// overError is what a message meets on a stream that is over: the error that this side ended it
// with, or ErrStreamClosed after the server's end, of which RecvMsg knows more.
func (cs *clientStream) overError() error {
	if err := cs.ctx.Err(); err != nil && !cs.half.IsEnded() { // it is being given up for that
		return err
	}
	if err := cs.half.Failure(); err != nil {
		return err
	}
	return ErrStreamClosed
}

// RecvMsg implements [ClientStream].
func (cs *clientStream) RecvMsg(m any) error { return cs.recv(cs, m) }

func (cs *clientStream) link() *conn { return &cs.c.conn }

func (cs *clientStream) decode(f *wire.Frame, data []byte, m any) error {
	return codec.DecodeFrom(f, data, m)
}

// interrupted is nil: the end of the context ends the stream.
func (cs *clientStream) interrupted() error { return nil }

// takeAnswer decodes the Response that ended the stream. After a message every further RecvMsg
// returns io.EOF, after a failure that failure again.
func (cs *clientStream) takeAnswer(m any) error {
	reply := cs.half.TakeReply()
	defer reply.Free()
	size, err := decodeReply(cs.ctx, reply, m)
	if cs.stats != nil {
		cs.stats.answer = payloadSizes{size, reply.Len()}
	}
	if err != nil {
		cs.half.SetStatus(err)
	}
	return err
}
