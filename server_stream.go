package ttrpc

import (
	"context"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// serverStream is the handler's side of a stream.
type serverStream struct {
	stream
	sc     *serverConn
	method *method
	ctx    *callContext // the handler's; set before the call is in flight
}

// cancelWith ends the stream for the handler, whatever that is doing with it.
func (ss *serverStream) cancelWith(err error) {
	ss.Discard(err)
	ss.ctx.Cancel(context.Canceled)
}

// RecvMsg implements [StreamServer].
func (ss *serverStream) RecvMsg(m any) error {
	_, err := ss.recv(ss, m)
	return err
}

// Link implements [conn.Consumer] and [conn.Sender].
func (ss *serverStream) Link() *conn.Conn { return ss.sc.conn.Link() }

// Decode implements [conn.Consumer].
func (ss *serverStream) Decode(f *wire.Frame, data []byte, m any) error {
	return unmarshalError(codec.DecodeFrom(f, data, m), m)
}

// Interrupted says whether the handler is to give up.
func (ss *serverStream) Interrupted() error { return ss.ctx.Err() }

// TakeAnswer is never called: a client sends no Response.
func (ss *serverStream) TakeAnswer(*wire.Frame, any) (int, error) { return 0, errStreamRefused }

// SendMsg implements [StreamServer].
func (ss *serverStream) SendMsg(m any) error { return ss.send(ss, m) }

func (ss *serverStream) encoder(m any) (codec.Encoder, error) { return streamEncoder(m) }
func (ss *serverStream) sendLimit() int                       { return ss.sc.server.maxSend }
func (ss *serverStream) sendFrame(f *wire.Frame) error        { return ss.Send(ss.ctx, ss, f) }

// streamEncoder is responseEncoder for which nil is an empty message.
func streamEncoder(m any) (codec.Encoder, error) {
	if m == nil {
		return codec.Encoder{}, nil
	}
	return responseEncoder(m)
}

// marshalError leaves the refusal of an oversized message to the handler as it is.
func (ss *serverStream) marshalError(err error) error {
	if asOversized(err) != nil {
		return err
	}
	return marshalError(err)
}

// RefuseLocked is about messages alone: the last frame is the call's answer.
func (ss *serverStream) RefuseLocked(bool) error {
	c := &ss.sc.conn
	if c.IsLiveLocked(&ss.Stream) {
		return nil
	}
	if err := ss.Failure(); err != nil {
		return err
	}
	if c.StateLocked() == conn.Closed {
		return callerr.Closed(c.CauseLocked())
	}
	return ErrStreamClosed
}

// PostLocked implements [conn.Sender].
func (ss *serverStream) PostLocked(f *wire.Frame) (transport.Unwritten, error) {
	return ss.sc.conn.PostAnswerLocked(f)
}

// lastFrame ends the stream with the message that the handler has returned.
func (ss *serverStream) lastFrame(resp any, limit int) (f *wire.Frame, size int, err error) {
	if resp == nil && ss.method.streamingServer {
		return wire.EndFrame(), 0, nil
	}
	e, err := streamEncoder(resp)
	if err != nil {
		return nil, 0, err
	}
	if ss.method.streamingServer {
		f, err = dataFrame(e, wire.FlagRemoteClosed, limit)
	} else {
		f, err = responseFrame(e, limit)
	}
	return f, e.Size(), marshalError(err)
}
