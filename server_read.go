package ttrpc

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/message"
	"github.com/containerd/ttrpc/internal/stats"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Handle gives one frame to its call, or answers to a fault. While more answers than the backlog's
// bound are unwritten no frame is handled.
func (sc *serverConn) Handle(in *transport.Inbound) bool {
	if t := sc.conn.Transport(); t.Full() {
		if !sc.conn.MayWait() {
			return false
		}
		t.AwaitSpace()
	}
	switch {
	case in.Oversized():
		st := status.Convert(callerr.Oversized(uint64(in.Length), sc.server.maxRecv))
		sc.refuse(in.Stream, st, errStreamRefused)
	case in.Stream%2 == 0:
		sc.answerf(in.Stream, codes.InvalidArgument, "StreamID must be odd for client initiated streams")
	case in.Type == wire.TypeRequest:
		return sc.handleRequest(in)
	case in.Type == wire.TypeData:
		return sc.conn.HandleData(in)
	case sc.conn.Extensions().Used():
		sc.conn.HandleControl(in) // a Ping, too, is behind the backlog's bound
	}
	return true
}

// Handled flushes the answers that nobody else flushes.
func (sc *serverConn) Handled() (soon bool) { return sc.runs.Handled() }

// handleRequest returns false when another goroutine is the loop now.
func (sc *serverConn) handleRequest(in *transport.Inbound) bool {
	if !sc.ids.Use(in.Stream) {
		sc.answerf(in.Stream, codes.InvalidArgument, "StreamID cannot be re-used and must increment")
		return true
	}
	v, err := wire.ParseRequest(in.Data())
	if err != nil {
		sc.answerf(in.Stream, codes.InvalidArgument, "unmarshal request error: %v", requestError(in.Data()))
		return true
	}
	m, st := sc.server.registry.find(v.Service, v.Method)
	if st != nil && sc.conn.IsDraining() {
		st = status.New(codes.Unavailable, ErrServerClosed.Error())
	}
	if st != nil {
		sc.noteRefused(in.Data(), v, m, st)
		sc.answer(in.Stream, st)
		return true
	}
	call := newServerCall(sc, m, in, &v)
	if st := sc.begin(call); st != nil {
		sc.noteRefused(call.request.Data(), v, m, st)
		call.endStream() // what it has held is free before anybody hears of it
		call.recycle()
		sc.answer(in.Stream, st)
		return true
	}
	if call.stream != nil {
		sc.conn.Ease() // streams may have ended that nobody has read
		sc.conn.Restrain(&call.stream.Stream, transport.Unwritten{}).FlushLater()
	}
	return sc.runs.Run(call)
}

// noteRefused tells of a call that is answered without having run. m is nil where there is no such
// method.
func (sc *serverConn) noteRefused(request []byte, v wire.RequestView, m *method, st *status.Status) {
	by := sc.server.stats
	if by == nil {
		return
	}
	info := stats.Info{Unregistered: true}
	if m != nil {
		info = m.info()
	} else {
		info.FullMethod = fullMethod(string(v.Service), string(v.Method))
	}
	ctx := sc.conn.Contexts().Context()
	if v.Metadata > 0 {
		ctx = context.WithValue(ctx, metadataKey{}, MD(wire.RequestMetadata(request, v.Metadata)))
	}
	told, _ := by.BeginCall(ctx, info, nil)
	told.Use(sc.conn.NetConn())
	told.End(st.Err())
}

// TakesData takes a second end of the peer's half for nothing, as the releases do.
func (sc *serverConn) TakesData(s *conn.Stream, live bool, in *transport.Inbound) bool {
	switch {
	case !live:
		sc.answerf(in.Stream, codes.InvalidArgument, "StreamID is no longer active")
		return false
	case s == nil:
		st := status.New(codes.InvalidArgument, "data handling error: not a streaming call")
		sc.refuse(in.Stream, st, errStreamRefused)
		return false
	case in.Flags&wire.FlagNoData == 0 && s.IsEnded():
		st := status.Newf(codes.InvalidArgument, "data handling error: %v", ErrStreamClosed)
		sc.refuse(in.Stream, st, ErrStreamClosed)
		return false
	}
	return true
}

// DataEnded leaves the call to its handler, which answers.
func (sc *serverConn) DataEnded(s *conn.Stream) { s.CloseRecv(nil, nil) }

// FailStalled answers in the handler's place.
func (sc *serverConn) FailStalled(s *conn.Stream) {
	sc.refuse(s.ID(), status.New(codes.ResourceExhausted, ErrStreamFull.Error()), ErrStreamFull)
}

// answer sends a status for an id that is no call's.
func (sc *serverConn) answer(id uint32, st *status.Status) {
	sc.conn.Answer(id, message.Status(st.Proto(), sc.server.maxSend))
}

func (sc *serverConn) answerf(id uint32, code codes.Code, format string, args ...any) {
	sc.answer(id, status.Newf(code, format, args...))
}

// refuse answers a status for an id, and if that is a call in flight, claims it: a stream ends with
// err, its handler's context is cancelled, and what the handler returns goes nowhere.
func (sc *serverConn) refuse(id uint32, st *status.Status, err error) {
	if _, _, ss := sc.claim(id); ss != nil {
		ss.cancelWith(err)
	}
	sc.answer(id, st)
	sc.conn.NoteAnswered()
}
