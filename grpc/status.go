package grpcttrpc

import (
	"io"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrNoResponseMetadata is what a handler gets that sets headers or trailers. Its code is
// Unimplemented.
var ErrNoResponseMetadata = status.Error(codes.Unimplemented,
	"grpcttrpc: ttrpc can't carry headers or trailers of an answer: put them into the message or the details of the status, "+
		"or have them dropped by the option DiscardResponseMetadata")

// statusError is a status that some error amounts to, and that error.
type statusError struct {
	st    *status.Status
	cause error
}

// Error returns the text that a status has as an error.
func (e *statusError) Error() string { return e.st.Err().Error() }

// GRPCStatus is what the status package looks for.
func (e *statusError) GRPCStatus() *status.Status { return e.st }

// Unwrap makes errors.Is find the cause.
func (e *statusError) Unwrap() error { return e.cause }

// toStatus makes a status of an error of ttrpc's, unless it is one. io.EOF stays.
func toStatus(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	st := ttrpc.StatusOf(err)
	if st.Code() == codes.Unknown { // a message that can't be encoded or decoded
		st = status.New(codes.Internal, err.Error())
	}
	return &statusError{st: st, cause: err}
}

// handlerError is the status that a handler's error becomes with grpc-go: ttrpc's own choice for an
// error that is no status knows more kinds of errors.
func handlerError(err error) error {
	if err == nil {
		return nil
	}
	if st, ok := status.FromError(err); ok && st.Code() == codes.OK {
		return status.Errorf(codes.Internal, "grpcttrpc: the handler has failed with a status that is OK: %v", err)
	} else if ok {
		return err
	}
	return status.FromContextError(err).Err()
}
