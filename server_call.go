package ttrpc

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/callctx"
	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/message"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/request"
	"github.com/containerd/ttrpc/internal/runner"
	"github.com/containerd/ttrpc/internal/stats"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// serverCall is one call on a server, from its request to its answer. The object is recycled:
// nothing that users hold refers to it but unmarshal functions, which learn from the request that
// their call is over.
type serverCall struct {
	id      uint32
	sc      *serverConn
	method  *method
	request request.Request
	parent  context.Context // the connection's
	own     *callContext    // the handler's, where it is not the connection's
	stream  *serverStream   // nil for a unary call
	stats   *stats.Call     // nil without a handler, and before the call runs
	began   atomic.Int64    // its run, in nanoseconds on the clock; 0: it has not
	runner.Record
}

var serverCallPool = sync.Pool{New: func() any { return new(serverCall) }}

// newServerCall takes the request out of its frame.
func newServerCall(sc *serverConn, m *method, in *transport.Inbound, v *wire.RequestView) *serverCall {
	call := serverCallPool.Get().(*serverCall)
	call.request.Take(in.Take(), v)
	call.id, call.sc, call.method = in.Stream, sc, m
	call.began.Store(0)
	if m.stream != nil {
		call.stream = newServerStream(call)
	}
	waits := m.stream != nil // the handler, for messages
	call.SetRecord(&sc.runs, &m.runs, call.request.Cost(), waits)
	return call
}

// newServerStream makes the stream of a call; the message in the request, if there is one, is its
// first. A client that does not stream has sent all with it.
func newServerStream(call *serverCall) *serverStream {
	ss := &serverStream{sc: call.sc, method: call.method}
	ss.InitStream(call.sc.conn.Link(), call.id, call.method.kind(), recv.UntilDiscarded)
	if call.opensWithMessage() {
		ss.PushFirst(call.request.AsData())
	}
	if !call.method.streamingClient {
		ss.CloseRecv(nil, nil)
	}
	return ss
}

// opensWithMessage reports whether the request of a stream has its first message.
func (call *serverCall) opensWithMessage() bool {
	size, _ := call.request.Sizes()
	return size > 0 || !call.method.streamingClient
}

// Receiver implements [conn.Call].
func (call *serverCall) Receiver() *conn.Stream {
	if call.stream == nil {
		return nil
	}
	return &call.stream.Stream
}

// Context implements [serverconn.Call].
func (call *serverCall) Context() *callctx.Context { return call.own.base() }

// claim removes a call: whoever gets it, and not nil, ends it. What it returns beside the call is
// looked up under the lock, for the call is recycled when its handler returns.
func (sc *serverConn) claim(id uint32) (call *serverCall, ctx *callContext, ss *serverStream) {
	sc.conn.Lock()
	defer sc.conn.Unlock()
	call, _ = sc.conn.ClaimLocked(id).(*serverCall)
	if call == nil {
		return nil, nil, nil
	}
	return call, call.own, call.stream
}

// endStream ends the call's stream, if it is one, for goroutines that the handler has left behind.
// It comes after the call has been claimed: until then Data belongs to a stream that is open.
func (call *serverCall) endStream() {
	if call.stream != nil {
		call.stream.Discard(ErrStreamClosed)
	}
}

// recycle ends the use of a call that nobody else knows of any more.
func (call *serverCall) recycle() {
	call.request.Drop()
	call.SetRecord(nil, nil, 0, false)
	call.sc, call.method, call.parent, call.own, call.stream, call.stats = nil, nil, nil, nil, nil, nil
	serverCallPool.Put(call)
}

// Serve implements [runner.Call].
func (call *serverCall) Serve(began time.Duration) transport.Unwritten {
	call.began.Store(int64(began))
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			panic(v) // which ends the process: its clients see the connection close, and no answer
		}
		// The handler has called runtime.Goexit, which takes this goroutine with it.
		call.respond(call.errorFrame(errHandlerExit)).Flush(true)
	}()
	f := call.answer()
	returned = true
	return call.respond(f)
}

// answer runs the handler and encodes what it returns.
// With WithRecovery a panic in either is the call's error.
func (call *serverCall) answer() (f *wire.Frame) {
	ctx := call.context()
	if call.sc.server.stats != nil {
		ctx = call.beginStats(ctx)
	}
	if call.sc.server.recovery != nil {
		defer func() {
			if v := recover(); v != nil {
				f = call.resultFrame(nil, call.sc.server.recovery(ctx, call.method.name, v, stack()))
			}
		}()
	}
	resp, err := call.invoke(ctx)
	call.request.Drop()
	return call.resultFrame(resp, err)
}

// beginStats tells the begin, on the goroutine that runs the handler.
func (call *serverCall) beginStats(ctx context.Context) context.Context {
	call.stats, ctx = call.sc.server.stats.BeginCall(ctx, call.method.info(), nil)
	call.stats.Use(call.sc.conn.NetConn())
	if call.stream != nil {
		if call.opensWithMessage() {
			_, frame := call.request.Sizes()
			call.stats.OpenedBy(frame)
		}
		call.stream.stats = call.stats
	}
	return ctx
}

func (call *serverCall) invoke(ctx context.Context) (any, error) {
	if call.stream != nil {
		return call.method.stream(ctx, call.stream)
	}
	use := call.request.Use() // by which a request that the object has later is told from this one
	unmarshal := func(m any) error { return call.request.Decode(use, m, unmarshalRequest) }
	size, frame := call.request.Sizes()
	return call.method.unary(ctx, call.stats.Unmarshaler(unmarshal, size, frame))
}

// resultFrame encodes what a handler has returned.
func (call *serverCall) resultFrame(resp any, err error) *wire.Frame {
	if isNil(resp) {
		resp = nil
	}
	if err == nil {
		var f *wire.Frame
		var size int
		if f, size, err = call.messageFrame(resp); err == nil {
			if resp != nil {
				call.stats.Sent(resp, size, f.Len())
			}
			call.stats.End(nil)
			return f
		}
	}
	return call.errorFrame(err)
}

// messageFrame is the last frame of a call that has succeeded, whose message has so many bytes.
func (call *serverCall) messageFrame(resp any) (f *wire.Frame, size int, err error) {
	limit := call.sc.server.maxSend
	if call.stream != nil {
		return call.stream.lastFrame(resp, limit)
	}
	if resp == nil {
		return nil, 0, fmt.Errorf("%w: %s returned neither a message nor an error", errNilMarshal, call.method.name)
	}
	e, err := responseEncoder(resp)
	if err != nil {
		return nil, 0, err
	}
	f, err = responseFrame(e, limit)
	return f, e.Size(), marshalError(err)
}

func (call *serverCall) errorFrame(err error) *wire.Frame {
	st := callerr.HandlerStatus(err)
	if call.stats != nil {
		call.stats.End(status.ErrorProto(st))
	}
	if st.Code == int32(codes.OK) && call.stream != nil && call.method.streamingServer {
		return wire.EndFrame() // a Response that succeeds has a message, which there is none of
	}
	return message.Status(st, call.sc.server.maxSend)
}

// stack is the text of this goroutine's stack. (runtime/debug has it too, for one more package.)
func stack() []byte {
	b := make([]byte, 64<<10)
	return b[:runtime.Stack(b, false)]
}

// respond posts the answer and ends the call.
func (call *serverCall) respond(f *wire.Frame) transport.Unwritten {
	call.request.Drop()
	posted := call.sc.conn.Finish(call.id, call.request.Cost(), f)
	call.endStream()
	// Not before: a RecvMsg that the handler has left behind learns that the stream is over.
	call.endContext()
	call.recycle()
	return posted
}

// prepare makes the context of a call that is about to be in flight. With extensions each has one
// of its own, for it may be cancelled.
func (call *serverCall) prepare(parent context.Context, cancellable bool) {
	call.parent = parent
	timeout := call.request.Timeout()
	if call.stream == nil && timeout == 0 && !cancellable {
		return
	}
	call.own = callContexts.New()
	call.own.Init(parent, timeout)
	if call.stream != nil {
		call.stream.ctx = call.own
	}
}

// context returns the handler's context.
func (call *serverCall) context() context.Context {
	md := MD(call.request.Metadata())
	switch {
	case call.own != nil:
		call.own.md = md
	case md != nil:
		return context.WithValue(call.parent, metadataKey{}, md)
	default:
		return call.parent
	}
	if call.stream != nil && call.request.Timeout() != 0 {
		// For RecvMsg. The end of the connection wakes all its streams.
		call.own.AfterFunc(call.stream.Wake)
	}
	return call.own
}

// endContext ends the context of a call, if it has one of its own.
func (call *serverCall) endContext() {
	if call.own != nil {
		call.sc.outlived.End(&call.own.Context, call.stream != nil || call.request.Timeout() != 0)
	}
}
