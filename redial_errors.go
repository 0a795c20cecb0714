package ttrpc

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var errDialNilConn = errors.New("the dialer returned neither a connection nor an error")

// noConnError is what a call gets, and Client.Err says, while a client of Dial has no connection.
type noConnError struct {
	target string
	cause  error // of the last attempt, or of the connection's end
}

// Error names the target and the cause.
func (e *noConnError) Error() string {
	return fmt.Sprintf("ttrpc: no connection to %s: %v", e.target, e.cause)
}

// Unwrap makes errors.Is find ErrClosed and the cause.
func (e *noConnError) Unwrap() []error { return []error{ErrClosed, e.cause} }

// GRPCStatus returns the status, which is Unavailable.
func (e *noConnError) GRPCStatus() *status.Status { return status.New(codes.Unavailable, e.Error()) }

func (e *noConnError) notSent() bool { return true }

// waitError is what a call gets whose context ends while there is no connection.
type waitError struct {
	end     error // of the context
	failure error // why there was none
}

// Error says which end, and what was waited for.
func (e *waitError) Error() string { return fmt.Sprintf("%v: %v", e.end, e.failure) }

// Unwrap returns the context's error. The other one is text alone: the call did not fail for it.
func (e *waitError) Unwrap() error { return e.end }

// GRPCStatus returns the status, which is DeadlineExceeded or Canceled.
func (e *waitError) GRPCStatus() *status.Status { return status.New(callCode(e.end), e.Error()) }

func (e *waitError) notSent() bool { return true }
