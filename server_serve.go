package ttrpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/peercred"
	"github.com/containerd/ttrpc/internal/transport"
)

// Serve accepts connections from l and serves them until l fails or the server is closed, in which
// case it returns ErrServerClosed. It does so when [Server.Shutdown] begins: a program that ends
// when Serve returns cuts the calls for which Shutdown waits. It closes l. ctx is the parent of the
// contexts of all calls: its end cancels them, but does not end Serve.
//
// It panics when ctx or l is nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if ctx == nil || l == nil {
		panic("ttrpc: Serve was given a nil context or listener")
	}
	err := s.conns.Accept(listener{l}, func(netConn net.Conn) {
		s.startConn(newServerConn(s, ctx, netConn), nil)
	}, s.logRetry)
	return cmp.Or(err, ErrServerClosed)
}

func (s *Server) logRetry(failed error, after time.Duration) {
	s.log("ttrpc: accept failed", "error", failed, "backoff", after)
}

// listener is a user's. That it returns nothing is its failure.
type listener struct{ net.Listener }

// Accept implements [net.Listener].
func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil && isNil(conn) {
		err = errNilConn
	}
	return conn, err
}

// startConn has a connection that has a slot be served, unless the server is closed: it closes the
// connection then.
// over, unless it is nil, is closed when the connection counts as closed.
func (s *Server) startConn(sc *serverConn, over chan<- struct{}) bool {
	if !s.conns.Add(sc, over) {
		sc.conn.NetConn().Close()
		return false
	}
	go sc.run() // it becomes one of the server's workers
	return true
}

// run is the connection's goroutine.
func (sc *serverConn) run() {
	if sc.server.stats != nil {
		sc.beginStats(sc.server.stats)
	}
	if err := sc.open(); err != nil {
		sc.server.log("ttrpc: handshake failed", "error", err, "peer", sc.peer)
		sc.fail(err)
		sc.conn.ReadingEnded()
		return
	}
	sc.runs.Serve(&sc.server.runner, sc.conn.Transport(), sc.conn.Link(), sc.conn.ReadingEnded)
}

// ServeConn serves one connection that somebody else has accepted, dialled or inherited, and
// returns when it has been closed. It closes netConn in any case, and no listener. A server may
// serve any number of connections so, beside those of [Server.Serve]: the handshake, the limits,
// [Server.Shutdown] and [Server.Close] are the same for all. At the limit of [WithServerMaxConns]
// it waits until a connection ends, and netConn is not read meanwhile.
//
// It returns nil after an orderly end, which is the client's closing or resetting the connection,
// or netConn's being closed here. It returns ErrServerClosed when the server has been closed or
// shut down. Otherwise the error says what has failed, the handshake or the connection, and wraps
// the cause: the handshaker's error, [ErrProtocol], io.ErrUnexpectedEOF for an end within a
// message, and so on.
//
// ctx is the parent of the contexts of all calls: its end cancels them, but does not end ServeConn.
// Handlers that have not looked at their context may still run when it returns, and so may a Read
// of netConn that its Close does not end, as one of a process's standard input.
//
// It panics when ctx or netConn is nil.
func (s *Server) ServeConn(ctx context.Context, netConn net.Conn) error {
	if ctx == nil || isNil(netConn) {
		panic("ttrpc: ServeConn was given a nil context or connection")
	}
	if !s.conns.TakeSlot() {
		netConn.Close()
		return ErrServerClosed
	}
	sc := newServerConn(s, ctx, netConn)
	if sc.peer == "" {
		sc.peer = peercred.Describe(netConn)
	}
	over := make(chan struct{})
	if !s.startConn(sc, over) {
		return ErrServerClosed
	}
	<-over
	return sc.result()
}

// result is what ServeConn returns for a connection that is closed.
func (sc *serverConn) result() error {
	sc.conn.Lock()
	cause, opened := sc.conn.CauseLocked(), sc.conn.Transport() != nil
	sc.conn.Unlock()
	switch {
	case errors.Is(cause, transport.ErrDone):
		return ErrServerClosed
	case !opened:
		return fmt.Errorf("ttrpc: handshake with %s failed: %w", sc.peer, cause)
	case !transport.IsOrderly(cause):
		return fmt.Errorf("ttrpc: connection with %s failed: %w", sc.peer, cause)
	case sc.server.conns.IsDone():
		return ErrServerClosed
	}
	return nil
}
