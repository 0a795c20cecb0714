package conn

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/wire"
)

// Stream is one call's messages, the same on both sides of a connection: those that come, and how
// many may be sent. A client's unary call has its Response alone. InitUnary or InitStream makes it
// ready.
type Stream struct {
	id    uint32
	kind  Kind
	taken bool      // guarded by recvMu: the consumer has taken Data
	half  recv.Half // what comes

	outgoing flow.SendWindow // guarded by the Conn's lock
	opened   uint64          // what had been posted with its first frame; of one that this side begins

	sent   atomic.Int32 // messages since the last Receive
	waits  int32        // of the consumer since it last found that messages had been sent
	recvMu sync.Mutex   // guards taken and waits, and makes consumers of half take turns
}

// InitUnary makes the stream of a client's unary call ready. BeginLocked gives it its id.
func (s *Stream) InitUnary() { s.half.Init() }

// InitStream makes a stream ready whose messages count in c's buffer. The id of one that this side
// begins is not known yet: BeginLocked gives it.
func (s *Stream) InitStream(c *Conn, id uint32, kind Kind, until recv.Until) {
	s.id, s.kind = id, kind
	s.half.InitStream(&c.inflow, until)
}

// ID is the id of the call's frames.
func (s *Stream) ID() uint32 { return s.id }

// Kind says what each side of the call sends.
func (s *Stream) Kind() Kind { return s.kind }

// Receiver implements [Call]: a client's stream is its call.
func (s *Stream) Receiver() *Stream { return s }

// PushFirst takes the message that has come with the Request, before the call is in flight.
func (s *Stream) PushFirst(f *wire.Frame) { s.half.PushFirst(f) }

// CloseRecv says that nothing more comes: reply (then the stream's) or err tells how it ended, and
// neither is an orderly end. What has come can still be taken. The first end counts.
func (s *Stream) CloseRecv(reply *wire.Frame, err error) {
	if s.half.End(reply, err) {
		s.wakeSenders()
	}
}

// Discard ends the stream for its consumer too: what was not taken is dropped, and err is all there
// is to know, unless it had failed before.
func (s *Stream) Discard(err error) {
	s.half.Discard(err)
	s.wakeSenders()
}

// wakeSenders has those look who wait to send: the stream may be over. In a unary call nobody does,
// and its stream may serve the next call by now.
func (s *Stream) wakeSenders() {
	if s.kind != Unary {
		s.outgoing.Wake()
	}
}

// Watch calls f when ctx ends before the stream does.
func (s *Stream) Watch(ctx context.Context, f func()) { s.half.Watch(ctx, f) }

// Wake has the consumer look.
func (s *Stream) Wake() { s.half.Wake() }

// IsEnded reports whether nothing more comes.
func (s *Stream) IsEnded() bool { return s.half.IsEnded() }

// Failure is the error by which the stream has ended: nil while more may come, after an orderly
// end, and after a Response, whatever that says.
func (s *Stream) Failure() error { return s.half.Failure() }

// Ready has a wake-up when a unary call has ended, for its caller.
func (s *Stream) Ready() <-chan struct{} { return s.half.Ready() }

// Reuse returns how a unary call has ended, of which only its caller knows by then, and makes the
// stream ready for the next. The Response is the caller's.
func (s *Stream) Reuse() (reply *wire.Frame, err error) { return s.half.Reuse() }

// CloseSendLocked says that this side sends nothing more. It needs the lock.
func (s *Stream) CloseSendLocked() { s.outgoing.Close() }

// IsSendClosedLocked reports whether CloseSendLocked was called. It needs the lock.
func (s *Stream) IsSendClosedLocked() bool { return s.outgoing.IsClosed() }
