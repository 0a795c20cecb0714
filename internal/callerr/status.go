package callerr

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/codec"
)

// StatusOf returns the status that the error of a call, or of a stream, amounts to.
func StatusOf(err error) *status.Status {
	if err == nil || err == io.EOF {
		return status.New(codes.OK, "")
	}
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.New(codeOf(err), err.Error())
}

// codeOf has what callers get that no server has sent. The table is no variable: that would be made
// at the start of all programs.
func codeOf(err error) codes.Code {
	for _, known := range []struct {
		err  error
		code codes.Code
	}{
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{os.ErrDeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
		{ErrClosed, codes.Unavailable},
		{ErrServerClosed, codes.Unavailable},
		{ErrStreamFull, codes.ResourceExhausted},
		{ErrStreamClosed, codes.FailedPrecondition},
		{ErrProtocol, codes.Internal},
		{codec.ErrUnknownType, codes.Internal},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return codes.Unknown
}

// HandlerStatus returns the status that an error of a handler is sent as. (What a client makes of
// the error of a call is StatusOf.)
func HandlerStatus(err error) *spb.Status {
	st, ok := status.FromError(err)
	if !ok {
		return &spb.Status{Code: int32(handlerCode(err)), Message: err.Error()}
	}
	p := st.Proto()
	if IsRefusal(p) { // another server's: this one has begun the call
		p.Message = "passed on: " + p.Message
	}
	return p
}

// handlerCode maps well-known errors. It looks at the error itself, not at what it wraps,
// but for the file errors.
func handlerCode(err error) codes.Code {
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

// Answered is what a call returns for the status of its Response: nil for none, and for OK.
func Answered(st *spb.Status) error {
	if st == nil || st.Code == int32(codes.OK) {
		return nil
	}
	err := status.ErrorProto(st)
	if IsRefusal(st) {
		return &drainedError{status: err}
	}
	return err
}

// IsRefusal reports whether a server has answered so without running the call, for it shuts down.
func IsRefusal(st *spb.Status) bool {
	return st.GetCode() == int32(codes.Unavailable) && st.GetMessage() == ErrServerClosed.Error()
}

// IsOwnEnd reports whether an answer says what ctx is about to say itself, that the deadline is
// over: only the timer was slower than the server.
func IsOwnEnd(ctx context.Context, st *spb.Status) bool {
	if st.GetCode() != int32(codes.DeadlineExceeded) {
		return false
	}
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= 0
}
