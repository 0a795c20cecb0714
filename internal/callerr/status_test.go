//go:build go1.25

package callerr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/testkit"
)

// What a caller sees is found within what it wraps; of several the first of the table counts.
func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		code codes.Code
	}{
		{nil, codes.OK}, {io.EOF, codes.OK}, {fmt.Errorf("asking: %w", io.EOF), codes.Unknown},
		{os.ErrDeadlineExceeded, codes.DeadlineExceeded}, {context.Canceled, codes.Canceled},
		{ErrClosed, codes.Unavailable}, {ErrServerClosed, codes.Unavailable}, {ErrStreamFull, codes.ResourceExhausted},
		{ErrStreamClosed, codes.FailedPrecondition}, {ErrProtocol, codes.Internal}, {codec.ErrUnknownType, codes.Internal},
		{ClosedFor(ErrProtocol), codes.Unavailable},
		{ClosedFor(context.DeadlineExceeded), codes.DeadlineExceeded},
		{status.Error(codes.NotFound, "gone"), codes.NotFound}, {errors.New("else"), codes.Unknown},
	} {
		st := StatusOf(c.err)
		if st.Code() != c.code {
			t.Errorf("%v: %v, want %v", c.err, st.Code(), c.code)
		}
	}
}

// What a handler returns is looked at itself, but for files' errors.
func TestHandlerStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		code codes.Code
		msg  string
	}{
		{io.EOF, codes.OutOfRange, "EOF"},
		{io.ErrShortWrite, codes.FailedPrecondition, "short write"},
		{os.ErrInvalid, codes.InvalidArgument, "invalid argument"},
		{context.Canceled, codes.Canceled, "context canceled"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "context deadline exceeded"},
		{&fs.PathError{Op: "open", Path: "a", Err: os.ErrExist}, codes.AlreadyExists, "open a: file already exists"},
		{os.ErrNotExist, codes.NotFound, "file does not exist"},
		{os.ErrPermission, codes.PermissionDenied, "permission denied"},
		{fmt.Errorf("wrapped: %w", context.Canceled), codes.Unknown, "wrapped: context canceled"},
		{ErrClosed, codes.Unknown, "ttrpc: closed"},
		{status.Error(codes.NotFound, "gone"), codes.NotFound, "gone"},
		{status.Error(codes.Unavailable, "ttrpc: server closed"), codes.Unavailable, "passed on: ttrpc: server closed"},
	} {
		st := HandlerStatus(c.err)
		if codes.Code(st.Code) != c.code || st.Message != c.msg {
			t.Errorf("%v: %v, want %v %q", c.err, st, c.code, c.msg)
		}
	}
}

// A status is the call's error, but for OK; a refusal says that the call was not sent.
func TestAnswered(t *testing.T) {
	testkit.Check(t, Answered(nil))
	testkit.Check(t, Answered(&spb.Status{Message: "of no meaning"}))
	gone := Answered(&spb.Status{Code: int32(codes.NotFound), Message: "gone"})
	testkit.Equal(t, status.Code(gone), codes.NotFound)
	testkit.Equal(t, NotSent(gone), false)

	refusal := &spb.Status{Code: int32(codes.Unavailable), Message: ErrServerClosed.Error()}
	testkit.Equal(t, IsRefusal(refusal), true)
	err := Answered(refusal)
	testkit.Equal(t, err.Error(), GoneAway().Error())
	testkit.Equal(t, NotSent(err), true)
	testkit.WantIs(t, err, ErrClosed)
	testkit.Equal(t, IsRefusal(&spb.Status{Code: int32(codes.Unavailable), Message: "else"}), false)
	testkit.Equal(t, IsRefusal(nil), false)
}

// A server that is quicker than the timer says what the context is about to say.
func TestIsOwnEnd(t *testing.T) {
	over, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	early, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	exceeded := &spb.Status{Code: int32(codes.DeadlineExceeded)}
	testkit.Equal(t, IsOwnEnd(over, exceeded), true)
	testkit.Equal(t, IsOwnEnd(early, exceeded), false)
	testkit.Equal(t, IsOwnEnd(context.Background(), exceeded), false)
	testkit.Equal(t, IsOwnEnd(over, nil), false)
	testkit.Equal(t, IsOwnEnd(over, &spb.Status{Code: int32(codes.Canceled)}), false)
}
