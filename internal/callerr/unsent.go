package callerr

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// NotSent reports whether err is that of a call which no server has begun, nor will.
func NotSent(err error) bool {
	var u interface{ notSent() bool }
	return errors.As(err, &u) && u.notSent()
}

// unsent is in the errors of such calls.
type unsent struct{}

func (unsent) notSent() bool { return true }

// unsentError is the error of a call of which nothing was written.
type unsentError struct {
	unsent
	error
}

// Unsent is the error of a call which err has kept from being written.
func Unsent(err error) error { return &unsentError{error: err} }

// Unwrap returns what kept the call from being written.
func (e *unsentError) Unwrap() error { return e.error }

// drainedError is the status of a call for which a server that shuts down has run nothing.
type drainedError struct {
	unsent
	status error
}

// GoneAway is the error of a call which a server has said that it will not begin. It is the same as
// its answer to one that comes too late.
func GoneAway() error {
	return &drainedError{status: status.Error(codes.Unavailable, ErrServerClosed.Error())}
}

// Error returns the text of the status error.
func (e *drainedError) Error() string { return e.status.Error() }

// GRPCStatus returns the status, which is Unavailable.
func (e *drainedError) GRPCStatus() *status.Status { return status.Convert(e.status) }

// Unwrap makes errors.Is find ErrClosed: the connection is about to close.
func (e *drainedError) Unwrap() []error { return []error{ErrClosed, e.status} }

// noConnError is what a call gets while there is no connection to a target.
type noConnError struct {
	unsent
	target string
	cause  error
}

// NoConn is the error of a call while there is no connection to a target. The cause is that of the
// last attempt, or of the connection's end.
func NoConn(target string, cause error) error { return &noConnError{target: target, cause: cause} }

// Error names the target and the cause.
func (e *noConnError) Error() string {
	return fmt.Sprintf("ttrpc: no connection to %s: %v", e.target, e.cause)
}

// Unwrap makes errors.Is find ErrClosed and the cause.
func (e *noConnError) Unwrap() []error { return []error{ErrClosed, e.cause} }

// GRPCStatus returns the status, which is Unavailable.
func (e *noConnError) GRPCStatus() *status.Status { return status.New(codes.Unavailable, e.Error()) }

// waitError is what a call gets whose context ends while there is no connection.
type waitError struct {
	unsent
	end     error // of the context
	failure error // why there was none
}

// Waited is the error of a call whose context has ended while there was no connection.
func Waited(end, failure error) error { return &waitError{end: end, failure: failure} }

// Error says which end, and what was waited for.
func (e *waitError) Error() string { return fmt.Sprintf("%v: %v", e.end, e.failure) }

// Unwrap returns the context's error. The other one is text alone: the call did not fail for it.
func (e *waitError) Unwrap() error { return e.end }

// GRPCStatus returns the status, which is DeadlineExceeded or Canceled.
func (e *waitError) GRPCStatus() *status.Status { return status.New(codeOf(e.end), e.Error()) }
