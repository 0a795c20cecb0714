package ttrpc

import (
	"errors"

	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/wire"
)

var (
	// ErrProtocol is wrapped by the errors that report a peer, or a caller,
	// that did not keep to the protocol.
	ErrProtocol = callerr.ErrProtocol // "protocol error"

	// ErrClosed is what calls and streams return when their connection is gone. After an orderly end
	// (EOF, a local Close, a broken pipe, a reset) the error is ErrClosed itself; after any other end
	// it wraps ErrClosed and the cause. [Client.Err] tells the cause in either case.
	ErrClosed = callerr.ErrClosed // "ttrpc: closed"

	// ErrServerClosed is returned by [Server.Serve] and [Server.ServeConn] after [Server.Shutdown] or
	// [Server.Close].
	ErrServerClosed = callerr.ErrServerClosed // "ttrpc: server closed"

	// ErrStreamClosed is returned for a message that is sent on a stream which is closed for sending.
	ErrStreamClosed = callerr.ErrStreamClosed // "ttrpc: stream closed"

	// ErrStreamFull ends a stream whose consumer has taken nothing for too long while its buffer was
	// full: for one second where other calls are in flight on the connection, for ten where the stream
	// is the only one. [WithServerStallTimeout] and [WithClientStallTimeout] set the latter,
	// [WithServerStreamBuffer] and [WithClientStreamBuffer] the buffer's size. The connection and its
	// other calls go on.
	ErrStreamFull = callerr.ErrStreamFull // "ttrpc: stream buffer full"

	// ErrKeepalive is wrapped by the cause for which a connection ends whose peer answers no ping:
	// see [WithClientKeepalive] and [WithServerKeepalive].
	ErrKeepalive = callerr.ErrKeepalive // "ttrpc: no answer to keepalive pings"

	// ErrStreamIDsExhausted is the cause for which a client closes after 2^31 calls, when the
	// connection has no stream id left. Calls in flight finish first;
	// new ones get an error that wraps ErrClosed and this one.
	ErrStreamIDsExhausted = callerr.ErrStreamIDsExhausted // "ttrpc: stream ids exhausted"
)

var (
	errHandlerExit   = errors.New("ttrpc: handler exited without returning")
	errStreamRefused = errors.New("ttrpc: stream refused for a protocol error")
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
	return &OversizedMessageErr{length: length, maximum: maximum, err: callerr.Oversized(uint64(length), maximum)}
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

// NotSent reports whether err is that of a call which no server has begun, nor will: the call can
// be made again, elsewhere, and does not run twice. That holds for a call that was refused because
// its connection was about to end or had ended, for one whose connection could not be made or has
// ended before the request was written, and for one that a server refuses because it shuts down.
//
// False says nothing: the call may have run, or not. A client of [NewClient] returns ErrClosed
// itself both for a call in flight when the connection ended in an orderly way, and for one that
// came later; a client of [Dial] tells them apart. For the end of a context, and for a request that
// is too large or can't be encoded, NotSent is false as well: to repeat these is of no use.
func NotSent(err error) bool { return callerr.NotSent(err) }

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
func StatusOf(err error) *status.Status { return callerr.StatusOf(err) }
