package ttrpc

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

// teller tells a [StatsHandler] of connections and calls. It is an interface so that a program
// without a handler links none of that.
type teller interface {
	beginConn(ctx context.Context, s *connStats, netConn net.Conn, client bool) context.Context
	endConn(s *connStats, cause error)

	// beginCall tags a call, and tells its begin.
	beginCall(ctx context.Context, info CallInfo) (*callStats, context.Context)
	// refused tells of a server's call that is answered without having run.
	refused(ctx context.Context, info CallInfo, md MD, netConn net.Conn, err error)
	in(s *callStats, m any, n payloadSizes)
	out(s *callStats, m any, n payloadSizes)
	outFrame(s *callStats, m any, f *wire.Frame)
	end(s *callStats, err error)
	endWith(s *callStats, ctx context.Context)
	unmarshaler(s *callStats, f func(any) error, n payloadSizes) func(any) error
}

// callStats is what a handler is told of one call. It is nil where there is no handler: its methods
// do nothing then. It is not used again for another call.
type callStats struct {
	by      teller
	ctx     context.Context
	info    CallInfo
	began   time.Time
	request any // of a client's unary call

	ended   atomic.Bool
	taken   atomic.Bool              // a server's unary request was decoded
	replied atomic.Int32             // bytes of the frame of a client's unary answer; 0: none came
	remote  atomic.Pointer[net.Addr] // nil: none yet
	stop    atomic.Pointer[func() bool]

	// A stream's recvMu guards these two.
	opening int          // bytes of the frame of the Request that has brought the first message
	answer  payloadSizes // of the Response that has ended the stream
}

// payloadSizes are of a message, and of its frame.
type payloadSizes struct{ message, frame int }

// on says which connection the call uses.
func (s *callStats) on(netConn net.Conn) {
	if s == nil {
		return
	}
	addr := netConn.RemoteAddr()
	s.remote.Store(&addr)
}

// in tells of a message that has been received.
func (s *callStats) in(m any, n payloadSizes) {
	if s != nil {
		s.by.in(s, m, n)
	}
}

// out tells of a message that is on its way.
func (s *callStats) out(m any, n payloadSizes) {
	if s != nil {
		s.by.out(s, m, n)
	}
}

// outFrame is out for the message of an answer, which f has whole.
func (s *callStats) outFrame(m any, f *wire.Frame) {
	if s != nil && m != nil {
		s.by.outFrame(s, m, f)
	}
}

// end tells the end, once.
func (s *callStats) end(err error) {
	if s != nil {
		s.by.end(s, err)
	}
}

// endWith tells the end of a call whose context has ended, also where nobody asks for its result
// any more.
func (s *callStats) endWith(ctx context.Context) {
	if s != nil && ctx.Done() != nil {
		s.by.endWith(s, ctx)
	}
}

// unmarshaler is f, which tells of the first message that it decodes.
func (s *callStats) unmarshaler(f func(any) error, n payloadSizes) func(any) error {
	if s == nil {
		return f
	}
	return s.by.unmarshaler(s, f, n)
}

// connStats is what a handler is told of one connection.
//
//	from        event                                            to
//	statsNone   the begin has been told                          statsBegun
//	any         the connection has ended                         statsEnded
//
// Whoever makes it statsEnded tells the end, but before the begin has been told: then who tells
// that does.
type connStats struct {
	state atomic.Int32
	ctx   context.Context
	event ConnEnd
}

const (
	statsNone = iota
	statsBegun
	statsEnded
)

// begun says that the begin has been told. cause is why the connection has ended, if it has.
func (s *connStats) begun(by teller, cause func() error) {
	if !s.state.CompareAndSwap(statsNone, statsBegun) {
		by.endConn(s, cause())
	}
}

// end tells the end of a connection whose begin has been told. It is called once.
func (s *connStats) end(by teller, cause error) {
	if by != nil && s.state.Swap(statsEnded) == statsBegun {
		by.endConn(s, cause)
	}
}
