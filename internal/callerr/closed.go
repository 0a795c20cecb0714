package callerr

import (
	"errors"
	"fmt"
	"time"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
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

// Foreign refuses a peer that does not speak ttrpc, by the first bytes that it has sent.
func Foreign(first []byte, fromServer bool, maxData int) error {
	what, foreign := wire.Foreign(first, fromServer, maxData)
	if !foreign {
		return nil
	}
	return fmt.Errorf("%s: %w", wire.ForeignText(first, what, fromServer), ErrProtocol)
}

// Silent is why a connection ends whose peer has given no sign of life within a time.
func Silent(within time.Duration) error {
	return fmt.Errorf("%w: none within %v", ErrKeepalive, within)
}

// Broken is the error of a call in which the peer has broken the protocol, by doing what.
func Broken(what string) error { return fmt.Errorf("%s: %w", what, ErrProtocol) }
