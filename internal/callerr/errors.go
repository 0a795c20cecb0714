// Package callerr has the errors that calls and streams return, and what statuses they amount to,
// on either side. What each means for users is told where the root package exports it.
package callerr

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
