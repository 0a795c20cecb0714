package ttrpc

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/wire"
)

// stream is one call's messages, the same on both sides of a connection: those that come, and how
// many may be sent. A client's unary call has its Response alone.
type stream struct {
	id    uint32
	kind  callKind
	stats *callStats // nil without a handler, and for a unary call
	name  callName   // a client's; for snapshots
	half  recv.Half  // what comes

	outgoing flow.SendWindow // guarded by the conn's lock

	sent   atomic.Int32 // messages since the last RecvMsg
	waits  int32        // of the consumer since it last found that messages had been sent
	recvMu sync.Mutex   // guards waits, and makes consumers of half take turns
}

// callName is what a client's call is called. It is written before the call is in flight, and read
// under the conn's lock while it is.
type callName struct {
	service, method string
	since           time.Duration // on the clock; 0: not known
}

// callKind says what each side of a call sends.
type callKind uint8

const (
	callUnary        callKind = iota // a Request and a Response
	callOneEach                      // the same, by a stream's API
	callClientStream                 // the client a stream, the server a Response
	callServerStream                 // the client a Request, the server a stream
	callBidi                         // both a stream
)

// streamKind is the kind of a stream.
func streamKind(client, server bool) callKind {
	switch {
	case client && server:
		return callBidi
	case client:
		return callClientStream
	case server:
		return callServerStream
	}
	return callOneEach
}

func (k callKind) clientStreams() bool { return k == callClientStream || k == callBidi }
func (k callKind) serverStreams() bool { return k == callServerStream || k == callBidi }

// String is the kind's name in a snapshot.
func (k callKind) String() string {
	return [...]string{"unary", "server stream", "client stream", "server stream", "bidi stream"}[k]
}

func (s *stream) receiver() *stream { return s }

// closeRecv says that nothing more comes: reply (then the stream's) or err tells how it ended, and
// neither is an orderly end. What has come can still be taken. The first end counts.
func (s *stream) closeRecv(reply *wire.Frame, err error) {
	if s.half.End(reply, err) {
		s.wakeSenders()
	}
}

// discard ends the stream for its consumer too: what was not taken is dropped, and err is all there
// is to know, unless it had failed before.
func (s *stream) discard(err error) {
	s.half.Discard(err)
	s.wakeSenders()
}

// wakeSenders has those look who wait to send: the stream may be over. In a unary call nobody does,
// and its stream may serve the next call by now.
func (s *stream) wakeSenders() {
	if s.kind != callUnary {
		s.outgoing.Wake()
	}
}
