package ttrpc

import (
	"context"
	"errors"
	"io"
	"os"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/codec"
)

// StatusOf returns the status that the error of a call, or of a stream, amounts to. It is the
// server's, where the error has one. For the errors of this package and of contexts, of which
// status.Code says Unknown, it is:
//
//	nil, and io.EOF itself, with which RecvMsg ends      OK
//	context.DeadlineExceeded, os.ErrDeadlineExceeded     DeadlineExceeded
//	context.Canceled                                     Canceled
//	ErrClosed, ErrServerClosed                           Unavailable
//	*OversizedMessageErr, ErrStreamFull                  ResourceExhausted
//	ErrStreamClosed                                      FailedPrecondition
//	ErrProtocol, a request that is no message            Internal
//	any other                                            Unknown
//
// Errors that wrap these count as well, the first line that fits. The message is the error's text.
// What a server makes of the error of a handler is another thing.
func StatusOf(err error) *status.Status {
	if err == nil || err == io.EOF {
		return status.New(codes.OK, "")
	}
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.New(callCode(err), err.Error())
}

// callCode has what callers get that no server has sent. The table is no variable: that would be
// made at the start of all programs.
func callCode(err error) codes.Code {
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
