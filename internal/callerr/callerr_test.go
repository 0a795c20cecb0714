//go:build go1.25

package callerr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
)

// The reason for an end is told apart once: what is ErrClosed already stays as it is.
func TestClosedWrapsACauseOnce(t *testing.T) {
	closed := Closed(io.ErrUnexpectedEOF)
	testkit.Equal(t, closed.Error(), "ttrpc: closed: unexpected EOF")
	testkit.WantIs(t, closed, ErrClosed)
	testkit.WantIs(t, closed, io.ErrUnexpectedEOF)
	testkit.WantExactly(t, Closed(closed), closed)
	testkit.WantExactly(t, CauseOf(fmt.Errorf("wrapped: %w", closed)), io.ErrUnexpectedEOF)
	testkit.WantExactly(t, CauseOf(ErrClosed), ErrClosed)
}

// An orderly end has no cause to tell, unless that is asked for.
func TestClosedIsErrClosedAfterAnOrderlyEnd(t *testing.T) {
	for _, cause := range []error{
		io.EOF, net.ErrClosed, os.ErrClosed, io.ErrClosedPipe, transport.ErrDone, syscall.ECONNRESET, syscall.EPIPE,
	} {
		testkit.WantExactly(t, Closed(fmt.Errorf("wrapped: %w", cause)), ErrClosed)
	}
	testkit.Equal(t, ClosedFor(io.EOF).Error(), "ttrpc: closed: EOF")
	testkit.WantIs(t, ClosedFor(io.EOF), io.EOF)
}

// A peer that speaks something else is told by its first bytes, one that is silent by the time, and
// one that breaks the protocol in a call by what it has done.
func TestPeersAtFault(t *testing.T) {
	testkit.Check(t, Foreign(testkit.Frame{ID: 1, Type: 1}.Bytes(), false, 100))
	err := Foreign([]byte("GET / HTTP/1.1\r\n"), false, 100)
	testkit.WantIs(t, err, ErrProtocol)
	testkit.Equal(t, err.Error(), `the client does not speak ttrpc: it began with "GET / HTTP/1.1\r\n" (HTTP request): protocol error`)
	err = Silent(3 * time.Second)
	testkit.WantIs(t, err, ErrKeepalive)
	testkit.Equal(t, err.Error(), "ttrpc: no answer to keepalive pings: none within 3s")
	err = Broken("unexpected message")
	testkit.WantIs(t, err, ErrProtocol)
	testkit.Equal(t, err.Error(), "unexpected message: protocol error")
}

// The errors of calls that no server has begun say so, wrapped or not, and no others do.
func TestNotSent(t *testing.T) {
	lost := NoConn("unix:///a", io.ErrUnexpectedEOF)
	for _, c := range []struct {
		err   error
		text  string
		code  codes.Code
		finds []error
	}{
		{Unsent(Closed(io.ErrUnexpectedEOF)), "ttrpc: closed: unexpected EOF", codes.Unavailable, []error{ErrClosed, io.ErrUnexpectedEOF}},
		{GoneAway(), "rpc error: code = Unavailable desc = ttrpc: server closed", codes.Unavailable, []error{ErrClosed}},
		{lost, "ttrpc: no connection to unix:///a: unexpected EOF", codes.Unavailable, []error{ErrClosed, io.ErrUnexpectedEOF}},
		{Waited(context.Canceled, lost), "context canceled: ttrpc: no connection to unix:///a: unexpected EOF", codes.Canceled,
			[]error{context.Canceled}},
		{Waited(context.DeadlineExceeded, lost), "context deadline exceeded: ttrpc: no connection to unix:///a: unexpected EOF",
			codes.DeadlineExceeded, []error{context.DeadlineExceeded}},
	} {
		testkit.Equal(t, NotSent(c.err), true)
		testkit.Equal(t, NotSent(fmt.Errorf("wrapped: %w", c.err)), true)
		testkit.Equal(t, c.err.Error(), c.text)
		testkit.Equal(t, StatusOf(c.err).Code(), c.code)
		for _, target := range c.finds {
			testkit.WantIs(t, c.err, target)
		}
	}
	testkit.Equal(t, errors.Is(Waited(context.Canceled, lost), ErrClosed), false)
	for _, err := range []error{nil, io.EOF, ErrClosed, ErrServerClosed, ClosedFor(io.EOF), Oversized(2, 1)} {
		testkit.Equal(t, NotSent(err), false)
	}
}

// The error of an oversized message is a status.
func TestOversized(t *testing.T) {
	st, ok := status.FromError(Oversized(1<<32-1, 5))
	testkit.Equal(t, ok, true)
	testkit.Equal(t, st.Code(), codes.ResourceExhausted)
	testkit.Equal(t, st.Message(), "message length 4294967295 exceed maximum message size of 5")
}
