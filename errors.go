package ttrpc

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

var (
	// ErrProtocol is wrapped by the errors that report a peer, or a caller,
	// that did not keep to the protocol.
	ErrProtocol = errors.New("protocol error")

	// ErrClosed is what calls and streams return when their connection is gone. After an orderly end
	// (EOF, a local Close, a broken pipe, a reset) the error is ErrClosed itself; after any other end
	// it wraps ErrClosed and the cause. [Client.Err] tells the cause in either case.
	ErrClosed = errors.New("ttrpc: closed")

	// ErrServerClosed is returned by [Server.Serve] and [Server.ServeConn] after [Server.Shutdown] or
	// [Server.Close].
	ErrServerClosed = errors.New("ttrpc: server closed")

	// ErrStreamClosed is returned for a message that is sent on a stream which is closed for sending.
	ErrStreamClosed = errors.New("ttrpc: stream closed")

	// ErrStreamFull ends a stream whose consumer has taken nothing for too long while its buffer was
	// full: for one second where other calls are in flight on the connection, for ten where the stream
	// is the only one. [WithServerStallTimeout] and [WithClientStallTimeout] set the latter,
	// [WithServerStreamBuffer] and [WithClientStreamBuffer] the buffer's size. The connection and its
	// other calls go on.
	ErrStreamFull = errors.New("ttrpc: stream buffer full")

	// ErrKeepalive is wrapped by the cause for which a connection ends whose peer answers no ping:
	// see [WithClientKeepalive] and [WithServerKeepalive].
	ErrKeepalive = errors.New("ttrpc: no answer to keepalive pings")

	// ErrStreamIDsExhausted is the cause for which a client closes after 2^31 calls, when the
	// connection has no stream id left. Calls in flight finish first;
	// new ones get an error that wraps ErrClosed and this one.
	ErrStreamIDsExhausted = errors.New("ttrpc: stream ids exhausted")
)

var (
	errHandlerExit   = errors.New("ttrpc: handler exited without returning")
	errStreamRefused = errors.New("ttrpc: stream refused for a protocol error")
	errLateUnmarshal = errors.New("ttrpc: unmarshal called after the method returned")
	errNilMarshal    = errors.New("ttrpc: marshal called with nil")
	errInvalidSize   = errors.New("ttrpc: size out of range")
	errNilConn       = errors.New("ttrpc: the listener returned neither a connection nor an error")
)

// OversizedMessageErr is the refusal to send a message that is larger than the limit. It wraps a
// ResourceExhausted status.
type OversizedMessageErr struct {
	length, maximum int
	err             error
}

// OversizedMessageError returns an *[OversizedMessageErr] when messageLength, in bytes, is over the
// default limit of 4 MiB, and nil otherwise.
func OversizedMessageError(messageLength int) error {
	return oversized(messageLength, wire.DefaultMaxData)
}

func oversized(length, maximum int) error {
	if length <= maximum {
		return nil
	}
	return &OversizedMessageErr{length: length, maximum: maximum, err: oversizedStatus(uint64(length), maximum)}
}

// oversizedStatus is the status of a message over the limit, wherever it was noticed.
func oversizedStatus(length uint64, maximum int) error {
	return status.Errorf(codes.ResourceExhausted, "message length %v exceed maximum message size of %v", length, maximum)
}

// Error returns the text of the wrapped status error.
func (e *OversizedMessageErr) Error() string { return e.err.Error() }

// Unwrap returns the ResourceExhausted status error.
func (e *OversizedMessageErr) Unwrap() error { return e.err }

// RejectedLength returns the length, in bytes, that was refused.
func (e *OversizedMessageErr) RejectedLength() int { return e.length }

// MaximumLength returns the limit, in bytes, that was exceeded.
func (e *OversizedMessageErr) MaximumLength() int {
	if e == nil {
		return wire.DefaultMaxData
	}
	return e.maximum
}

// closedError is ErrClosed with its cause.
type closedError struct{ cause error }

// Error returns ErrClosed's text and the cause's.
func (e *closedError) Error() string { return fmt.Sprintf("%v: %v", ErrClosed, e.cause) }

// Unwrap makes errors.Is find both.
func (e *closedError) Unwrap() []error { return []error{ErrClosed, e.cause} }

// asClosed turns the reason for which a connection ended into what calls on it return.
func asClosed(cause error) error {
	if errors.Is(cause, ErrClosed) {
		return cause
	}
	if isOrderly(cause) {
		return ErrClosed
	}
	return &closedError{cause: cause}
}

// NotSent reports whether err is that of a call which no server has begun, nor will: the call can
// be made again, elsewhere, and does not run twice. That holds for a call that was refused because
// its connection was about to end or had ended, for one whose connection could not be made, and for
// one that a server refuses because it shuts down.
//
// False says nothing: the call may have run, or not. A client of [NewClient] returns ErrClosed
// itself both for a call in flight when the connection ended in an orderly way, and for one that
// came later; a client of [Dial] tells them apart. For the end of a context, and for a request that
// is too large or can't be encoded, NotSent is false as well: to repeat these is of no use.
func NotSent(err error) bool {
	var u interface{ notSent() bool }
	return errors.As(err, &u) && u.notSent()
}

// unsentError is the error of a call of which nothing was written.
type unsentError struct{ error }

// Unwrap returns what kept the call from being written.
func (e *unsentError) Unwrap() error { return e.error }

func (e *unsentError) notSent() bool { return true }

// isOrderly reports whether a connection that ended so was merely closed, by either side.
func isOrderly(err error) bool { return transport.IsOrderly(err) }

// checkFirst refuses a peer that does not speak ttrpc.
func checkFirst(first []byte, fromServer bool, maxData int) error {
	what, foreign := wire.Foreign(first, fromServer, maxData)
	if !foreign {
		return nil
	}
	return fmt.Errorf("%s: %w", wire.ForeignText(first, what, fromServer), ErrProtocol)
}

// silentError is why a connection ends whose peer has given no sign of life within a time.
func silentError(within time.Duration) error {
	return fmt.Errorf("%w: none within %v", ErrKeepalive, within)
}

// drainedError is the status of a call for which a server that shuts down has run nothing.
type drainedError struct{ status error }

// errGoneAway is that of a call which a server has said that it will not begin. It is the same as
// its answer to one that comes too late.
var errGoneAway = &drainedError{status.Error(codes.Unavailable, ErrServerClosed.Error())}

// Error returns the text of the status error.
func (e *drainedError) Error() string { return e.status.Error() }

// GRPCStatus returns the status, which is Unavailable.
func (e *drainedError) GRPCStatus() *status.Status { return status.Convert(e.status) }

func (e *drainedError) notSent() bool { return true }

// Unwrap makes errors.Is find ErrClosed: the connection is about to close.
func (e *drainedError) Unwrap() []error { return []error{ErrClosed, e.status} }
