package ttrpc

import (
	"context"

	"github.com/containerd/ttrpc/internal/codec"
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
	ss.discard(err)
	ss.ctx.Cancel(context.Canceled)
}

// RecvMsg implements [StreamServer].
func (ss *serverStream) RecvMsg(m any) error { return ss.recv(ss, m) }

func (ss *serverStream) link() *conn { return &ss.sc.conn }

func (ss *serverStream) decode(f *wire.Frame, data []byte, m any) error {
	return unmarshalError(codec.DecodeFrom(f, data, m), m)
}

func (ss *serverStream) interrupted() error { return ss.ctx.Err() }

// takeAnswer is never called: a client sends no Response.
func (ss *serverStream) takeAnswer(any) error { return errStreamRefused }

// SendMsg implements [StreamServer].
func (ss *serverStream) SendMsg(m any) error { return ss.send(ss.ctx, ss, m, false) }

func (ss *serverStream) encoder(m any) (codec.Encoder, error) { return streamEncoder(m) }

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

// refuseLocked is about messages alone: the last frame is the call's answer.
func (ss *serverStream) refuseLocked(bool) error {
	if ss.sc.isLiveLocked(&ss.stream) {
		return nil
	}
	if err := ss.half.Failure(); err != nil {
		return err
	}
	if ss.sc.state == connClosed {
		return asClosed(ss.sc.cause)
	}
	return ErrStreamClosed
}

func (ss *serverStream) postLocked(f *wire.Frame) (transport.Unwritten, error) {
	return ss.sc.postLocked(f)
}

// lastFrame ends the stream with the message that the handler has returned.
func (ss *serverStream) lastFrame(resp any, limit int) (*wire.Frame, error) {
	if resp == nil && ss.method.streamingServer {
		return wire.EndFrame(), nil
	}
	e, err := streamEncoder(resp)
	if err != nil {
		return nil, err
	}
	var f *wire.Frame
	if ss.method.streamingServer {
		f, err = dataFrame(e, wire.FlagRemoteClosed, limit)
	} else {
		f, err = responseFrame(e, limit)
	}
	return f, marshalError(err)
}
