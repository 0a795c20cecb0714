package ttrpc

import (
	"context"
	"net"
	"time"
)

// Handshaker confirms or decorates a connection before it is used, on the server for incoming ones and on
// the client for its own.
type Handshaker interface {
	// Handshake returns the connection to use in place of conn, which may be conn itself, and data about the
	// peer, such as its credentials, which handlers find with [HandshakeData]. An error refuses the
	// connection. Both ctx and a deadline on conn end a handshake that takes too long.
	Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error)
}

// runHandshake bounds a handshake in time: zero is no bound.
func runHandshake(ctx context.Context, h Handshaker, conn net.Conn, timeout time.Duration) (net.Conn, any, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
		_ = conn.SetDeadline(time.Now().Add(timeout)) // a conn without deadlines has only ctx
	}
	used, data, err := h.Handshake(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	if used == nil {
		return nil, nil, errHandshakeNilConn
	}
	if timeout > 0 {
		_ = conn.SetDeadline(time.Time{})
	}
	return used, data, nil
}
