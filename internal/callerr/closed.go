package callerr

import (
	"errors"
	"fmt"

	"github.com/containerd/ttrpc/internal/transport"
)

// closedError is ErrClosed with its cause.
type closedError struct{ cause error }

// Error returns ErrClosed's text and the cause's.
func (e *closedError) Error() string { return fmt.Sprintf("%v: %v", ErrClosed, e.cause) }

// Unwrap makes errors.Is find both.
func (e *closedError) Unwrap() []error { return []error{ErrClosed, e.cause} }

// Closed is what calls return on a connection that has ended for a cause: ErrClosed itself where
// the end was orderly.
func Closed(cause error) error {
	if errors.Is(cause, ErrClosed) {
		return cause
	}
	if transport.IsOrderly(cause) {
		return ErrClosed
	}
	return ClosedFor(cause)
}

// ClosedFor is ErrClosed with its cause, whatever that is.
func ClosedFor(cause error) error { return &closedError{cause: cause} }

// CauseOf is why a connection is closed, where err says that it is.
func CauseOf(err error) error {
	var closed *closedError
	if errors.As(err, &closed) {
		return closed.cause
	}
	return err
}
