// Package callerr has the errors that calls and streams return, and what statuses they amount to,
// on either side. What each means for users is told where the root package exports it.
package callerr

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/wire"
)

// The root package exports these under the same names.
var (
	ErrProtocol           = errors.New("protocol error")
	ErrClosed             = errors.New("ttrpc: closed")
	ErrServerClosed       = errors.New("ttrpc: server closed")
	ErrStreamClosed       = errors.New("ttrpc: stream closed")
	ErrStreamFull         = errors.New("ttrpc: stream buffer full")
	ErrKeepalive          = errors.New("ttrpc: no answer to keepalive pings")
	ErrStreamIDsExhausted = errors.New("ttrpc: stream ids exhausted")
)

// Oversized is the status of a message over the limit, wherever it was noticed.
func Oversized(length uint64, limit int) error {
	return status.Errorf(codes.ResourceExhausted, "message length %v exceed maximum message size of %v", length, limit)
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
