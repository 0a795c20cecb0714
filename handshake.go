package ttrpc

import (
	"context"
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/handshake"
)

// Handshaker confirms or decorates a connection before it is used, on the server for incoming ones
// and on the client for its own.
type Handshaker interface {
	// Handshake returns the connection to use in place of conn, which may be conn itself, and data
	// about the peer, such as its credentials, which handlers find with [HandshakeData].
	// An error refuses the connection.
	//
	// On a server ctx is the one that Serve was given; while the handshake runs it also ends with the
	// connection, and when the handshake takes too long. A deadline on conn ends a handshake, too.
	Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error)
}

// serverHandshake runs a server's handshaker on a connection, within a time. base is the context
// that Serve was given, and running that of the connection, which cancel ends. It is a function so
// that a program without a handshaker does not link it.
type serverHandshake func(
	base, running context.Context, cancel func(), conn net.Conn, timeout time.Duration,
) (used net.Conn, data any, err error)

// serverHandshakeBy returns the handshake by h; nil for none.
func serverHandshakeBy(h Handshaker) serverHandshake {
	if h == nil {
		return nil
	}
	return func(base, running context.Context, cancel func(), conn net.Conn, timeout time.Duration) (net.Conn, any, error) {
		return handshake.RunServers(base, running, cancel, h, conn, timeout)
	}
}
