//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/containerd/ttrpc"
)

// statusError has a status of its own.
type statusError struct{ text string }

func (e statusError) Error() string { return e.text }

func (e statusError) GRPCStatus() *status.Status { return status.New(codes.Unavailable, "own status") }

func TestP38ErrorsBecomeStatuses(t *testing.T) {
	notFound := status.Error(codes.NotFound, "not found")
	_, pathError := os.Open("/does not exist")
	tests := []struct {
		err  error
		code codes.Code
		text string // "": the error's
	}{
		{io.EOF, codes.OutOfRange, ""},
		{io.ErrClosedPipe, codes.FailedPrecondition, ""},
		{io.ErrNoProgress, codes.FailedPrecondition, ""},
		{io.ErrShortBuffer, codes.FailedPrecondition, ""},
		{io.ErrShortWrite, codes.FailedPrecondition, ""},
		{io.ErrUnexpectedEOF, codes.FailedPrecondition, ""},
		{os.ErrInvalid, codes.InvalidArgument, ""},
		{context.Canceled, codes.Canceled, ""},
		{context.DeadlineExceeded, codes.DeadlineExceeded, ""},
		{os.ErrExist, codes.AlreadyExists, ""},
		{os.ErrNotExist, codes.NotFound, ""},
		{os.ErrPermission, codes.PermissionDenied, ""},
		{pathError, codes.NotFound, ""},
		{os.NewSyscallError("call", syscall.EEXIST), codes.AlreadyExists, ""},
		{&os.LinkError{Op: "link", Old: "o", New: "n", Err: syscall.EACCES}, codes.PermissionDenied, ""},
		{syscall.EINVAL, codes.Unknown, ""},
		{os.ErrClosed, codes.Unknown, ""},
		{os.ErrDeadlineExceeded, codes.Unknown, ""},
		{fmt.Errorf("wrapped: %w", io.EOF), codes.Unknown, ""},
		{fmt.Errorf("wrapped: %w", os.ErrNotExist), codes.Unknown, ""},
		{fmt.Errorf("wrapped: %w", context.Canceled), codes.Unknown, ""},
		{errors.New("plain"), codes.Unknown, ""},
		{errors.New(""), codes.Unknown, ""},
		{ttrpc.ErrClosed, codes.Unknown, ""},
		{ttrpc.OversizedMessageError(5 << 20), codes.ResourceExhausted,
			"rpc error: code = ResourceExhausted desc = message length 5242880 exceed maximum message size of 4194304"},
		{notFound, codes.NotFound, "not found"},
		{fmt.Errorf("wrapped: %w", notFound), codes.NotFound, "wrapped: rpc error: code = NotFound desc = not found"},
		{errors.Join(errors.New("one"), notFound), codes.NotFound, "one\nrpc error: code = NotFound desc = not found"},
		{status.Error(77, "odd code"), 77, "odd code"},
		{statusError{"own text"}, codes.Unavailable, "own status"},
		{fmt.Errorf("wrapped: %w", statusError{"own text"}), codes.Unavailable, "wrapped: own text"},
	}
	which := func(in string) error {
		i, _ := strconv.Atoi(in)
		return tests[i].err
	}
	c := serve(t,
		withMethod("which", unary(func(_ context.Context, in string) (string, error) { return "unheard", which(in) })),
		withStream("whichStream", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
			in, err := recvText(ss)
			if err != nil {
				return err
			}
			return which(in)
		}))).client()
	for i, test := range tests {
		want := test.text
		if want == "" {
			want = test.err.Error()
		}
		out, err := call(bg, c, "which", strconv.Itoa(i))
		wantStatus(t, err, test.code, want)
		equal(t, out, "")
		_, err = recvText(open(t, bg, c, both, "whichStream", text(strconv.Itoa(i))))
		wantStatus(t, err, test.code, want)
	}
}

func TestP39TextThatIsNotUTF8IsMended(t *testing.T) {
	bad, mended := "a\xffb\xc0\xc1", "a\uFFFDb\uFFFD"
	wrapped := fmt.Errorf("%s %w", bad, status.Error(codes.NotFound, "x"))
	for _, test := range []struct {
		err  error
		code codes.Code
		text string
	}{
		{errors.New(bad), codes.Unknown, mended},
		{status.Error(codes.NotFound, bad), codes.NotFound, mended},
		{wrapped, codes.NotFound, mended + " rpc error: code = NotFound desc = x"},
	} {
		c := serve(t, withMethod("bad", unary(func(context.Context, string) (string, error) { return "", test.err })),
			withStream("badStream", bidi(func(context.Context, ttrpc.StreamServer) error { return test.err }))).client()
		_, err := call(bg, c, "bad", "")
		wantStatus(t, err, test.code, test.text)
		_, err = recvText(open(t, bg, c, both, "badStream", nil))
		wantStatus(t, err, test.code, test.text)
		wantEcho(t, c)
	}
}

func TestP40StatusReachesTheCallerWithDetails(t *testing.T) {
	detail, err := anypb.New(text("detail"))
	check(t, err)
	sent := status.FromProto(&spb.Status{Code: int32(codes.Aborted), Message: "oh", Details: []*anypb.Any{detail}})
	r := serve(t, withMethod("detailed", unary(func(context.Context, string) (string, error) { return "", sent.Err() })))
	for _, interceptor := range []ttrpc.UnaryClientInterceptor{nil, passOn} {
		c := r.client(ttrpc.WithUnaryClientInterceptor(interceptor))
		_, err = call(bg, c, "detailed", "")
		wantStatus(t, err, codes.Aborted, "oh")
		st, _ := status.FromError(err)
		equal(t, len(st.Details()), 1)
		equal(t, st.Details()[0].(*message).Value, "detail")
	}
	// A payload that does not parse does not hide it.
	var c *ttrpc.Client
	var p *rawPeer
	for _, interceptor := range []ttrpc.UnaryClientInterceptor{nil, passOn} {
		c, p = rawServer(t, "unix", ttrpc.WithUnaryClientInterceptor(interceptor))
		result := goCall(bg, c, "echo", "x")
		f := p.recv()
		p.send(rawFrame{id: f.id, typ: 2, data: slices.Concat(
			field(2, []byte{0xff}), field(1, slices.Concat(number(1, 5), field(2, []byte("gone")))))})
		wantStatus(t, wait(t, result, "call"), codes.NotFound, "gone")
	}
	cs := open(t, bg, c, both, "chat", nil)
	f := p.recv()
	p.send(rawFrame{id: f.id, typ: 2, data: slices.Concat(field(2, []byte{0xff}), field(1, number(1, 5)))})
	_, err = recvText(cs)
	wantStatus(t, err, codes.NotFound, "")
}

// A call's context ends while it waits for its answer, in a write, or to write; by cancelling and
// by a deadline.
func TestP41ContextEndsACall(t *testing.T) {
	situations := map[string]func(t *testing.T, c *ttrpc.Client, p *rawPeer){
		"waits for its answer": func(_ *testing.T, _ *ttrpc.Client, p *rawPeer) { go p.recv() },
		"in a write":           func(*testing.T, *ttrpc.Client, *rawPeer) {},
		"behind another's write": func(_ *testing.T, c *ttrpc.Client, _ *rawPeer) {
			goCall(bg, c, "echo", "x")
			synctest.Wait()
		},
		"waits to write": func(_ *testing.T, c *ttrpc.Client, _ *rawPeer) {
			goCall(bg, c, "echo", strings.Repeat("x", 2000)) // the backlog is full
			synctest.Wait()
		},
	}
	for name, prepare := range situations {
		for _, transport := range []string{"unary", "stream"} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, p := rawServer(t, "pipe", ttrpc.WithClientWriteBacklog(1000))
					prepare(t, c, p)
					do := func(ctx context.Context) error {
						if transport == "unary" {
							_, err := call(ctx, c, "echo", "x")
							return err
						}
						cs, err := c.NewStream(ctx, both, svc, "chat", nil)
						if err == nil {
							_, err = recvText(cs)
						}
						return err
					}
					start := time.Now()
					ctx, cancel := context.WithTimeout(bg, time.Second)
					defer cancel()
					wantExactly(t, do(ctx), context.DeadlineExceeded)
					equal(t, time.Since(start), time.Second)

					cancelled, cancelCause := context.WithCancelCause(bg)
					timer := time.AfterFunc(time.Second, func() { cancelCause(errors.New("a cause")) })
					defer timer.Stop()
					wantExactly(t, do(cancelled), context.Canceled)
					equal(t, time.Since(start), 2*time.Second)
					check(t, c.Err())
				})
			})
		}
	}
}

// After all that the connection is as good as new.
func TestP41LateAnswersAreDropped(t *testing.T) {
	var log logBuffer
	c, p := rawServer(t, "unix", ttrpc.WithClientLogger(log.logger()))
	for i := range uint32(100) {
		ctx, cancel := context.WithCancel(bg)
		result := goCall(ctx, c, "echo", "x")
		p.recv()
		cancel()
		wantExactly(t, wait(t, result, "call"), context.Canceled)
		p.send(answer(2*i+1, "late"))
	}
	result := goCall(bg, c, "echo", "x")
	f := p.recv()
	p.send(answer(f.id, "x"))
	check(t, wait(t, result, "call"))
	equal(t, log.String(), "")
}

func TestP42OversizedRequestIsNotSent(t *testing.T) {
	large := strings.Repeat("x", 1000)
	for _, interceptor := range []ttrpc.UnaryClientInterceptor{nil, passOn} {
		c, p := rawServer(t, "unix", ttrpc.WithClientMaxSendMsgSize(1000), ttrpc.WithUnaryClientInterceptor(interceptor))
		_, err := call(bg, c, "echo", large)
		wantOversized(t, err, 1000)
		_, err = c.NewStream(bg, both, svc, "chat", text(large))
		wantOversized(t, err, 1000)
		cs := open(t, bg, c, both, "chat", nil)
		wantOversized(t, cs.SendMsg(text(large)), 1000)
		check(t, cs.SendMsg(text("x")))
		equal(t, p.recv().id, 1)
		p.want(data(1, 0, "x"))
	}

	c, p := rawServer(t, "unix")
	_, err := call(bg, c, "echo", strings.Repeat("x", 4<<20))
	wantOversized(t, err, 4<<20)
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, 1)
}

func wantOversized(t *testing.T, err error, limit int) {
	t.Helper()
	var large *ttrpc.OversizedMessageErr
	if !errors.As(err, &large) || large.MaximumLength() != limit || large.RejectedLength() <= limit {
		t.Fatalf("got error %v (%T), want an *OversizedMessageErr over %d", err, err, limit)
	}
	wantStatus(t, errors.Unwrap(err), codes.ResourceExhausted,
		fmt.Sprintf("message length %d exceed maximum message size of %d", large.RejectedLength(), limit))
}

func TestP43ReplyOverTheClientsLimitCostsItsCallAlone(t *testing.T) {
	r := serve(t)
	c := r.client(ttrpc.WithClientMaxRecvMsgSize(1000))
	g := goCall(bg, c, "hold", "")
	large := strings.Repeat("x", 2000)
	_, err := call(bg, c, "echo", large)
	wantStatus(t, err, codes.ResourceExhausted, "message length 2006 exceed maximum message size of 1000")
	cs := open(t, bg, c, both, "chat", text(large))
	_, err = recvText(cs)
	wantStatus(t, err, codes.ResourceExhausted, "message length 2003 exceed maximum message size of 1000")
	wantEcho(t, c)
	select {
	case err := <-g:
		t.Error("another call ended:", err)
	default:
	}
}

func TestP44FramesForUnknownIdsAreIgnored(t *testing.T) {
	var log logBuffer
	c, p := rawServer(t, "unix", ttrpc.WithClientLogger(log.logger()))
	for _, id := range []uint32{0, 2, 9, 77, math.MaxUint32} { // none that the calls below get
		p.send(answer(id, "x"), refusal(id, codes.Aborted, "x"), data(id, 0, "x"), closing(id))
	}
	for range 2 {
		result := goCall(bg, c, "echo", "x")
		f := p.recv()
		p.send(answer(f.id+2, "early"), answer(f.id, "x"))
		check(t, wait(t, result, "call"))
	}
	equal(t, log.String(), "")
}
