package ttrpc

import (
	"time"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/stats"
	"github.com/containerd/ttrpc/internal/wire"
)

// stream is a stream of either side, or a client's unary call: what users send and receive, and
// what is told of that.
type stream struct {
	conn.Stream
	stats *stats.Call // nil without a handler, and for a unary call
	name  callName    // a client's; for snapshots
}

// callName is what a client's call is called. It is written before the call is in flight, and read
// under the conn's lock while it is.
type callName struct {
	service, method string
	since           time.Duration // on the clock; 0: not known
}

// sender is what a stream's side has to say of the messages that it sends.
type sender interface {
	conn.Sender
	// encoder finds out how a message is encoded.
	encoder(m any) (codec.Encoder, error)
	// marshalError is what SendMsg returns for an error of the encoding.
	marshalError(err error) error
	// sendLimit is how many bytes of data a frame may have.
	sendLimit() int
	// sendFrame takes the frame of a message and sends it.
	sendFrame(f *wire.Frame) error
}

// send is SendMsg of both sides.
func (s *stream) send(side sender, m any) error {
	e, err := side.encoder(m)
	if err != nil {
		return err
	}
	f, err := dataFrame(e, 0, side.sendLimit())
	if err != nil {
		return side.marshalError(err)
	}
	wireSize := f.Len()
	if err := side.sendFrame(f); err != nil {
		return err
	}
	s.stats.Sent(m, e.Size(), wireSize)
	return nil
}

// recv is RecvMsg of both sides. last says that there are no more messages.
func (s *stream) recv(side conn.Consumer, m any) (last bool, err error) {
	got, err := s.Receive(side, m)
	if err == nil {
		s.stats.ReceivedNext(m, got)
	}
	return got.Last, err
}
