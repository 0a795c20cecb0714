package ttrpc

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serverCall is one call on a server, from its request to its answer. The object is recycled: nothing that
// users hold refers to it but unmarshal functions, which know by uses that their call is over.
type serverCall struct {
	id       uint32
	sc       *serverConn
	method   *method
	parent   context.Context // the connection's
	timeout  int64           // nanoseconds; 0 is none
	metadata int             // KeyValues in the request
	size     int             // bytes of the request, as the connection counts them
	alone    bool            // no other call was in flight when it began
	timed    bool            // its method is judged by it
	cancel   *callContext    // to be cancelled when the method returns; nil: none
	stream   *serverStream   // nil for a unary call

	reqMu   sync.Mutex // guards all below
	request *frame     // nil once the method has returned
	payload []byte     // in request
	uses    uint64     // how many calls this object has served
}

// keyValueCost is what a KeyValue takes in memory beside its text, roughly; on the wire it may have two bytes.
const keyValueCost = 100

var serverCallPool = sync.Pool{New: func() any { return new(serverCall) }}

// newServerCall takes the request out of its frame.
func newServerCall(sc *serverConn, m *method, in *inbound, v requestView) *serverCall {
	call := serverCallPool.Get().(*serverCall)
	offset, length := 0, len(v.payload)
	if length > 0 {
		offset = cap(in.raw) - cap(v.payload) // v aliases in
	}
	call.request = in.take()
	call.payload = call.request.b[offset : offset+length]
	call.size = len(call.request.b) + v.metadata*keyValueCost
	call.id, call.sc, call.method = in.stream, sc, m
	call.timeout, call.metadata, call.timed = v.timeout, v.metadata, false
	if m.stream != nil {
		call.stream = newServerStream(call)
	}
	return call
}

// endStream ends the call's stream, if it is one, for goroutines that the handler has left behind. Only after the
// call has been claimed: until then Data that comes belongs to a stream that is open.
func (call *serverCall) endStream() {
	if call.stream != nil {
		call.stream.kill(ErrStreamClosed)
	}
}

// recycle ends the use of a call that nobody else knows of any more.
func (call *serverCall) recycle() {
	call.dropRequest()
	call.sc, call.method, call.parent, call.cancel, call.stream = nil, nil, nil, nil, nil
	serverCallPool.Put(call)
}

// dropRequest frees the request: an unmarshal from now on is an error.
func (call *serverCall) dropRequest() {
	call.reqMu.Lock()
	defer call.reqMu.Unlock()
	if call.request != nil {
		call.uses++
		call.request.free()
		call.request, call.payload = nil, nil
	}
}

// serve runs the call to the end, but for the flushing of its answer. crowd: other calls are in flight.
func (call *serverCall) serve() (crowd bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			panic(v) // which ends the process: its clients see the connection close, and no answer
		}
		sc := call.sc // runtime.Goexit in the handler
		call.finish(nil, errHandlerExit)
		sc.ch.flush(true)
	}()
	resp, err := call.handleTimed()
	returned = true
	return call.finish(resp, err)
}

func (call *serverCall) handleTimed() (any, error) {
	if !call.timed {
		return call.handle()
	}
	start := clock()
	resp, err := call.handle()
	took := clock() - start
	if call.stream != nil {
		took = max(0, took-time.Duration(call.stream.waited.Load())) // while others are not held up
	}
	call.method.judge(took, call.size)
	return resp, err
}

func (call *serverCall) handle() (any, error) {
	ctx := call.context()
	if f := call.sc.server.recovery; f != nil {
		return call.handleRecovered(ctx, f)
	}
	return call.invoke(ctx)
}

// handleRecovered makes a panic the call's error.
func (call *serverCall) handleRecovered(ctx context.Context, f RecoveryFunc) (resp any, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, f(ctx, call.method.name, v, stack())
		}
	}()
	return call.invoke(ctx)
}

// stack is the text of this goroutine's stack. (runtime/debug has it too, for one more package.)
func stack() []byte {
	b := make([]byte, 64<<10)
	return b[:runtime.Stack(b, false)]
}

func (call *serverCall) invoke(ctx context.Context) (any, error) {
	if call.stream != nil {
		return call.method.stream(ctx, call.stream)
	}
	return call.method.unary(ctx, call.unmarshaler())
}

// finish answers with what the handler returned.
func (call *serverCall) finish(resp any, err error) (crowd bool) {
	call.dropRequest()
	var answer *frame
	if call.stream != nil {
		answer = call.stream.lastFrame(resp, err)
	} else {
		answer = call.reply(resp, err)
	}
	crowd = call.sc.finish(call, answer)
	if call.cancel != nil { // only now: a RecvMsg that the handler has left behind is to learn that the stream is over
		call.cancel.cancel(context.Canceled)
	}
	call.recycle()
	return crowd
}

// context returns the handler's context: the connection's own where the call adds nothing to it. Like that one,
// it outlives the method unless the call has a deadline or is a stream.
func (call *serverCall) context() context.Context {
	var md MD
	if call.metadata > 0 {
		md = requestMetadata(call.request.data(), call.metadata)
	}
	switch {
	case call.stream != nil:
		call.cancel = call.stream.start(call.parent, call.timeout, md)
	case call.timeout != 0:
		call.cancel = newCallContext(call.parent, call.timeout, md)
	case md != nil:
		return context.WithValue(call.parent, metadataKey{}, md)
	default:
		return call.parent
	}
	return call.cancel
}

// unmarshaler returns the function by which the method decodes its request. It is good until the method
// returns, and knows by uses when the object serves another call.
func (call *serverCall) unmarshaler() func(any) error {
	uses := call.uses
	return func(m any) error { return call.unmarshal(uses, m) }
}

func (call *serverCall) unmarshal(uses uint64, m any) error {
	call.reqMu.Lock()
	defer call.reqMu.Unlock()
	if call.uses != uses {
		return errLateUnmarshal
	}
	return unmarshalRequest(call.payload, m)
}

// unmarshalRequest decodes with errors that are statuses.
func unmarshalRequest(b []byte, m any) error {
	err := unmarshal(b, m)
	if err == nil {
		return nil
	}
	if errors.Is(err, errUnknownType) {
		return status.Errorf(codes.Internal, "ttrpc: error unsupported request type: %T", m)
	}
	return status.Errorf(codes.Internal, "ttrpc: error unmarshalling payload: %v", err)
}

// reply encodes what a handler returned as a Response frame.
func (call *serverCall) reply(resp any, err error) *frame {
	limit := call.sc.server.maxSend
	if err == nil && isNil(resp) {
		err = errNilMarshal
	}
	if err == nil {
		var f *frame
		if f, err = encodeResponse(resp, limit); err == nil {
			return f
		}
	}
	return buildStatus(statusOf(err), limit)
}

func encodeResponse(resp any, limit int) (*frame, error) {
	e, err := responseEncoder(resp)
	if err != nil {
		return nil, err
	}
	f, err := buildResponse(e, limit)
	return f, marshalError(err)
}

// responseEncoder is encoderFor with a server's errors.
func responseEncoder(resp any) (encoder, error) {
	e, err := encoderFor(resp)
	if err != nil {
		return e, status.Errorf(codes.Internal, "ttrpc: error unsupported response type: %T", resp)
	}
	return e, nil
}

// marshalError words a failure to encode a server's message. The refusal of an oversized one stays what it is.
func marshalError(err error) error {
	if err == nil {
		return nil
	}
	if large := asOversized(err); large != nil {
		return large.Unwrap()
	}
	return status.Errorf(codes.Internal, "ttrpc: error marshaling payload: %v", err)
}

func asOversized(err error) *OversizedMessageErr {
	var large *OversizedMessageErr
	errors.As(err, &large)
	return large
}

// statusOf returns the status that an error of a handler is sent as.
func statusOf(err error) *spb.Status {
	if st, ok := status.FromError(err); ok {
		return st.Proto()
	}
	return &spb.Status{Code: int32(codeOf(err)), Message: err.Error()}
}

// codeOf maps well-known errors. It looks at the error itself, not at what it wraps, but for the file errors.
func codeOf(err error) codes.Code {
	switch err {
	case io.EOF:
		return codes.OutOfRange
	case io.ErrClosedPipe, io.ErrNoProgress, io.ErrShortBuffer, io.ErrShortWrite, io.ErrUnexpectedEOF:
		return codes.FailedPrecondition
	case os.ErrInvalid:
		return codes.InvalidArgument
	case context.Canceled:
		return codes.Canceled
	case context.DeadlineExceeded:
		return codes.DeadlineExceeded
	}
	switch {
	case os.IsExist(err):
		return codes.AlreadyExists
	case os.IsNotExist(err):
		return codes.NotFound
	case os.IsPermission(err):
		return codes.PermissionDenied
	}
	return codes.Unknown
}
