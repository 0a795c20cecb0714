package ttrpc

import (
	"context"
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

// handlerTeller is the teller of a handler.
type handlerTeller struct{ handler StatsHandler }

// addStats adds a handler behind those that there are.
func addStats(there teller, h StatsHandler) teller {
	if h == nil {
		return there
	}
	if t, ok := there.(handlerTeller); ok {
		h = &statsPair{t.handler, h}
	}
	return handlerTeller{h}
}

func (t handlerTeller) beginConn(ctx context.Context, s *connStats, netConn net.Conn, client bool) context.Context {
	s.ctx = t.handler.TagConn(ctx, &ConnInfo{Client: client, LocalAddr: netConn.LocalAddr(), RemoteAddr: netConn.RemoteAddr()})
	s.event.Client, s.event.Begin = client, time.Now()
	t.handler.HandleConn(s.ctx, &ConnBegin{Client: client, Time: s.event.Begin})
	return s.ctx
}

func (t handlerTeller) endConn(s *connStats, cause error) {
	if !isOrderly(cause) {
		s.event.Err = cause
	}
	s.event.End = time.Now()
	t.handler.HandleConn(s.ctx, &s.event)
}

func (t handlerTeller) beginCall(ctx context.Context, info CallInfo) (*callStats, context.Context) {
	s := &callStats{by: t, info: info}
	s.ctx = t.handler.TagCall(ctx, &s.info)
	s.began = time.Now()
	t.handler.HandleCall(s.ctx, &CallBegin{CallInfo: s.info, Time: s.began})
	return s, s.ctx
}

func (t handlerTeller) refused(ctx context.Context, info CallInfo, md MD, netConn net.Conn, err error) {
	if md != nil {
		ctx = WithMetadata(ctx, md)
	}
	s, _ := t.beginCall(ctx, info)
	s.on(netConn)
	s.end(err)
}

func (t handlerTeller) in(s *callStats, m any, n payloadSizes) {
	if !s.ended.Load() {
		t.handler.HandleCall(s.ctx, &InPayload{s.info.Client, m, n.message, n.frame, time.Now()})
	}
}

func (t handlerTeller) out(s *callStats, m any, n payloadSizes) {
	if !s.ended.Load() {
		t.handler.HandleCall(s.ctx, &OutPayload{s.info.Client, m, n.message, n.frame, time.Now()})
	}
}

func (t handlerTeller) outFrame(s *callStats, m any, f *wire.Frame) {
	n := payloadSizes{len(f.Data()), f.Len()}
	if wire.ParseHeader(f.Bytes()).Type == wire.TypeResponse {
		v, _ := wire.ParseResponse(f.Data()) // it is our own
		n.message = len(v.Payload)
	}
	t.out(s, m, n)
}

func (t handlerTeller) end(s *callStats, err error) {
	if s.ended.Swap(true) {
		return
	}
	if stop := s.stop.Load(); stop != nil {
		(*stop)()
	}
	event := &CallEnd{CallInfo: s.info, Begin: s.began, End: time.Now(), Err: StatusOf(err).Err()}
	if remote := s.remote.Load(); remote != nil {
		event.RemoteAddr = *remote
	}
	t.handler.HandleCall(s.ctx, event)
}

func (t handlerTeller) endWith(s *callStats, ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { t.end(s, ctx.Err()) })
	if s.stop.Store(&stop); s.ended.Load() {
		stop()
	}
}

func (t handlerTeller) unmarshaler(s *callStats, f func(any) error, n payloadSizes) func(any) error {
	return func(m any) error {
		err := f(m)
		if err == nil && !s.taken.Swap(true) {
			t.in(s, m, n)
		}
		return err
	}
}
