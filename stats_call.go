package ttrpc

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

// callStats is what a handler is told of one call. It is nil where there is no handler: its methods
// do nothing then. It is not used again for another call.
type callStats struct {
	handler StatsHandler
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

// beginCall tags a call, and tells its begin.
func beginCall(ctx context.Context, h StatsHandler, info CallInfo) (*callStats, context.Context) {
	s := &callStats{handler: h, info: info}
	s.ctx = h.TagCall(ctx, &s.info)
	s.began = time.Now()
	h.HandleCall(s.ctx, &CallBegin{CallInfo: s.info, Time: s.began})
	return s, s.ctx
}

// on says which connection the call uses.
func (s *callStats) on(netConn net.Conn) {
	if s == nil {
		return
	}
	addr := netConn.RemoteAddr()
	s.remote.Store(&addr)
}

func (s *callStats) in(m any, n payloadSizes) {
	if s == nil || s.ended.Load() {
		return
	}
	s.handler.HandleCall(s.ctx, &InPayload{s.info.Client, m, n.message, n.frame, time.Now()})
}

func (s *callStats) out(m any, n payloadSizes) {
	if s == nil || s.ended.Load() {
		return
	}
	s.handler.HandleCall(s.ctx, &OutPayload{s.info.Client, m, n.message, n.frame, time.Now()})
}

// outFrame is out for the message of an answer, which f has whole.
func (s *callStats) outFrame(m any, f *wire.Frame) {
	if s == nil || m == nil {
		return
	}
	n := payloadSizes{len(f.Data()), f.Len()}
	if wire.ParseHeader(f.Bytes()).Type == wire.TypeResponse {
		v, _ := wire.ParseResponse(f.Data()) // it is our own
		n.message = len(v.Payload)
	}
	s.out(m, n)
}

// end tells the end, once.
func (s *callStats) end(err error) {
	if s == nil || s.ended.Swap(true) {
		return
	}
	if stop := s.stop.Load(); stop != nil {
		(*stop)()
	}
	event := &CallEnd{CallInfo: s.info, Begin: s.began, End: time.Now(), Err: StatusOf(err).Err()}
	if remote := s.remote.Load(); remote != nil {
		event.RemoteAddr = *remote
	}
	s.handler.HandleCall(s.ctx, event)
}

// endWith tells the end of a call whose context has ended, also where nobody asks for its result
// any more.
func (s *callStats) endWith(ctx context.Context) {
	if s == nil || ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { s.end(ctx.Err()) })
	if s.stop.Store(&stop); s.ended.Load() {
		stop()
	}
}

// unmarshaler is f that tells of the first message which it decodes.
func (s *callStats) unmarshaler(f func(any) error, n payloadSizes) func(any) error {
	return func(m any) error {
		err := f(m)
		if err == nil && !s.taken.Swap(true) {
			s.in(m, n)
		}
		return err
	}
}
