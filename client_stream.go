package ttrpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/stats"
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
	st, ctx := c.stats.BeginCall(ctx, stats.Info{
		Client: true, FullMethod: fullMethod(service, method),
		StreamingClient: desc.StreamingClient, StreamingServer: desc.StreamingServer,
	}, nil)
	cs, err := c.newStream(ctx, st, desc, service, method, req)
	if err != nil || !st.HasConn() { // an interceptor may have a stream of its own
		st.End(err)
	}
	return cs, err
}

func (c *Client) newStream(
	ctx context.Context, st *stats.Call, desc *StreamDesc, service, method string, req any,
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
	ctx context.Context, st *stats.Call, desc *StreamDesc, service, method string, req any,
) (ClientStream, error) {
	if c.redial == nil {
		return c.startStream(ctx, st, desc, service, method, req)
	}
	var cs ClientStream
	err := c.redial.Do(ctx, func(c *Client) (err error) {
		cs, err = c.startStream(ctx, st, desc, service, method, req)
		return err
	})
	return cs, err
}

// startStream opens a stream on the client's own connection.
func (c *Client) startStream(
	ctx context.Context, st *stats.Call, desc *StreamDesc, service, method string, req any,
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
	cs.InitStream(c.conn.Link(), 0, conn.StreamKind(desc.StreamingClient, desc.StreamingServer), recv.UntilEnded)
	cs.stats = st
	c.conn.Ease() // streams may have ended that nobody has read
	cs.name = callName{service, method, transport.Clock()}
	wireSize := f.Len()
	if err := c.conn.Begin(ctx, &cs.stream, f); err != nil {
		return nil, err
	}
	if ctx.Done() != nil { // or else the method's value costs an allocation for nothing
		cs.Watch(ctx, cs.abandon)
	}
	st.Use(c.conn.NetConn())
	st.EndWith(ctx)
	switch {
	case req == nil:
	case e.Size() == 0 && desc.StreamingClient: // a Request cannot tell an empty message from none
		if err := cs.SendMsg(req); err != nil && !errors.Is(err, ErrStreamClosed) {
			return nil, err
		}
	default:
		st.Sent(req, e.Size(), wireSize)
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
func (cs *clientStream) abandon() { cs.c.conn.GiveUp(cs.ID(), cs.ctx.Err()) }

// CloseSend implements [ClientStream].
func (cs *clientStream) CloseSend() error {
	if !cs.Kind().ClientStreams() {
		return fmt.Errorf("%w: cannot close non-streaming client", ErrProtocol)
	}
	return cs.c.conn.CloseSend(cs.ctx, &cs.Stream, cs)
}

// SendMsg implements [ClientStream].
func (cs *clientStream) SendMsg(m any) error {
	if !cs.Kind().ClientStreams() {
		return fmt.Errorf("%w: cannot send data from non-streaming client", ErrProtocol)
	}
	return cs.send(cs, m)
}

func (cs *clientStream) encoder(m any) (codec.Encoder, error) { return optionalEncoder(m) }
func (cs *clientStream) marshalError(err error) error         { return err }
func (cs *clientStream) sendLimit() int                       { return cs.c.maxSend }

// sendFrame returns when the message is written, as the original's SendMsg does: what a program has
// sent is on its way, even if it ends then.
func (cs *clientStream) sendFrame(f *wire.Frame) error { return cs.SendWritten(cs.ctx, cs, f) }

// RefuseLocked implements [conn.Sender].
func (cs *clientStream) RefuseLocked(last bool) error {
	return cs.c.conn.RefuseLocked(cs.ctx, &cs.Stream, last)
}

// PostLocked implements [conn.Sender].
func (cs *clientStream) PostLocked(f *wire.Frame) (transport.Unwritten, error) {
	return cs.c.conn.PostStreamLocked(&cs.Stream, f)
}

// RecvMsg implements [ClientStream]. What ends the stream ends its call.
func (cs *clientStream) RecvMsg(m any) error {
	last, err := cs.recv(cs, m)
	if last {
		cs.stats.End(err)
	}
	return err
}

// Link implements [conn.Consumer] and [conn.Sender].
func (cs *clientStream) Link() *conn.Conn { return cs.c.conn.Link() }

// Decode implements [conn.Consumer].
func (cs *clientStream) Decode(f *wire.Frame, data []byte, m any) error {
	return codec.DecodeFrom(f, data, m)
}

// Interrupted is nil: the end of the context ends the stream.
func (cs *clientStream) Interrupted() error { return nil }

// TakeAnswer decodes the Response that has ended the stream.
func (cs *clientStream) TakeAnswer(reply *wire.Frame, m any) (size int, err error) {
	return decodeReply(cs.ctx, reply, m)
}
