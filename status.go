package ttrpc

import (
	"context"
	"io"
	"os"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// handlerStatus returns the status that an error of a handler is sent as. (What a client makes of
// the error of a call is StatusOf.)
func handlerStatus(err error) *spb.Status {
	st, ok := status.FromError(err)
	if !ok {
		return &spb.Status{Code: int32(handlerCode(err)), Message: err.Error()}
	}
	p := st.Proto()
	if isRefusal(p) { // another server's: this one has begun the call
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

// statusError is what a call returns for the status of its Response: nil for none, and for OK.
func statusError(st *spb.Status) error {
	if st == nil || st.Code == int32(codes.OK) {
		return nil
	}
	err := status.ErrorProto(st)
	if isRefusal(st) {
		return &drainedError{status: err}
	}
	return err
}

// isRefusal reports whether a server has answered so without running the call, for it shuts down.
func isRefusal(st *spb.Status) bool {
	return st.GetCode() == int32(codes.Unavailable) && st.GetMessage() == ErrServerClosed.Error()
}

// isOwnEnd reports whether an answer says what ctx is about to say itself, that the deadline is
// over: only the timer was slower than the server.
func isOwnEnd(ctx context.Context, st *spb.Status) bool {
	if st.GetCode() != int32(codes.DeadlineExceeded) {
		return false
	}
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= 0
}
