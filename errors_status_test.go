//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// What a call has amounted to is told alike for the statuses of servers and for this side's errors.
func TestStatusOf(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("asking: %w", err) }
	for _, test := range []struct {
		err  error
		code codes.Code
		msg  string
	}{
		{nil, codes.OK, ""},
		{io.EOF, codes.OK, ""},
		{wrapped(io.EOF), codes.Unknown, "asking: EOF"},
		{status.Error(codes.NotFound, "gone"), codes.NotFound, "gone"},
		{wrapped(status.Error(codes.NotFound, "gone")), codes.NotFound, "asking: rpc error: code = NotFound desc = gone"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "context deadline exceeded"},
		{wrapped(context.DeadlineExceeded), codes.DeadlineExceeded, "asking: context deadline exceeded"},
		{os.ErrDeadlineExceeded, codes.DeadlineExceeded, "i/o timeout"},
		{context.Canceled, codes.Canceled, "context canceled"},
		{ttrpc.ErrClosed, codes.Unavailable, "ttrpc: closed"},
		{ttrpc.ErrServerClosed, codes.Unavailable, "ttrpc: server closed"},
		{ttrpc.ErrStreamFull, codes.ResourceExhausted, "ttrpc: stream buffer full"},
		{ttrpc.OversizedMessageError(4<<20 + 1), codes.ResourceExhausted,
			"rpc error: code = ResourceExhausted desc = message length 4194305 exceed maximum message size of 4194304"},
		{wrapped(ttrpc.ErrStreamClosed), codes.FailedPrecondition, "asking: ttrpc: stream closed"},
		{ttrpc.ErrProtocol, codes.Internal, "protocol error"},
		{errors.New("else"), codes.Unknown, "else"},
	} {
		st := ttrpc.StatusOf(test.err)
		if st.Code() != test.code || st.Message() != test.msg {
			t.Errorf("%v: %v %q, want %v %q", test.err, st.Code(), st.Message(), test.code, test.msg)
		}
	}
}

// The errors of real calls have the status that their cause has.
func TestStatusOfCalls(t *testing.T) {
	c := serve(t).client(ttrpc.WithClientMaxSendMsgSize(100))
	_, err := call(bg, c, "fail", "gone")
	equal(t, ttrpc.StatusOf(err).Code(), codes.NotFound)
	_, err = call(bg, c, "echo", string(make([]byte, 200)))
	equal(t, ttrpc.StatusOf(err).Code(), codes.ResourceExhausted)
	equal(t, ttrpc.StatusOf(c.Call(bg, svc, "echo", 5, nil)).Code(), codes.Internal)
	check(t, c.Close())
	_, err = call(bg, c, "echo", "")
	equal(t, ttrpc.StatusOf(err).Code(), codes.Unavailable)
}

// NotSent is true for what provably has not run, and false for all else.
func TestNotSent(t *testing.T) {
	for _, err := range []error{
		nil, io.EOF, ttrpc.ErrClosed, context.Canceled, status.Error(codes.Unavailable, "ttrpc: server closed"),
		ttrpc.OversizedMessageError(4<<20 + 1), ttrpc.ErrStreamFull,
	} {
		equal(t, ttrpc.NotSent(err), false)
	}
}

// A call that comes after a failure of its connection was not sent; one in flight may have run.
func TestNotSentAfterTheEnd(t *testing.T) {
	c, p := rawServer(t, "unix")
	first := goCall(bg, c, "echo", "x")
	p.recv()
	_, err := p.Write(make([]byte, 5)) // half a header
	check(t, err)
	p.Close()
	err = wait(t, first, "the call in flight")
	wantIs(t, err, ttrpc.ErrClosed, io.ErrUnexpectedEOF)
	equal(t, ttrpc.NotSent(err), false)
	_, err = call(bg, c, "echo", "x")
	wantIs(t, err, ttrpc.ErrClosed, io.ErrUnexpectedEOF)
	equal(t, ttrpc.NotSent(err), true)
	_, err = c.NewStream(bg, both, svc, "chat", nil)
	equal(t, ttrpc.NotSent(err), true)
	equal(t, ttrpc.NotSent(fmt.Errorf("wrapped: %w", err)), true)
}

// What a draining server refuses has not run, but for a handler that passes on another server's
// refusal, which has.
func TestNotSentToADrainingServer(t *testing.T) {
	g := newGate()
	upstream := serve(t, withMethod("wait", g.unary()))
	up := upstream.client()
	held := goCall(bg, up, "wait", "")
	wait(t, g.started, "the call")
	ended, cancel := context.WithCancel(bg)
	cancel()
	wantExactly(t, upstream.Shutdown(ended), context.Canceled)

	_, err := call(bg, up, "echo", "")
	wantIs(t, err, ttrpc.ErrClosed)
	equal(t, ttrpc.NotSent(err), true)
	equal(t, ttrpc.StatusOf(err).Code(), codes.Unavailable)
	cs := open(t, bg, up, both, "chat", nil)
	_, err = recvText(cs)
	equal(t, ttrpc.NotSent(err), true)

	proxy := serve(t, withMethod("proxy", unary(func(ctx context.Context, in string) (string, error) {
		return call(ctx, up, "echo", in)
	})))
	_, err = call(bg, proxy.client(), "proxy", "")
	wantStatus(t, err, codes.Unavailable, "passed on: ttrpc: server closed")
	equal(t, ttrpc.NotSent(err), false)
	equal(t, errors.Is(err, ttrpc.ErrClosed), false)
	g.open()
	check(t, wait(t, held, "the call in flight"))
}
