package ttrpc

import (
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
	defer l.Close()
	if !s.addListener(l) {
		return ErrServerClosed
	}
	defer s.removeListener(l)
	var backoff time.Duration
	for {
		if !s.awaitSlot() {
			return ErrServerClosed
		}
		conn, err := accept(l)
		if err == nil {
			backoff = 0
			err = s.serveAccepted(ctx, conn)
		} else {
			backoff, err = s.acceptAgain(err, backoff)
		}
		if err != nil {
			return err
		}
	}
}

func accept(l net.Listener) (net.Conn, error) {
	conn, err := l.Accept()
	if err == nil && isNil(conn) {
		err = errNilConn
	}
	return conn, err
}

// serveAccepted has a connection served that was accepted.
func (s *Server) serveAccepted(ctx context.Context, conn net.Conn) error {
	if !s.takeSlot() { // another listener's connection may have had it meanwhile
		conn.Close()
		return ErrServerClosed
	}
	if sc := newServerConn(s, ctx, conn); s.addConn(sc) {
		go sc.run()
	}
	return nil
}

// acceptAgain waits after a failed Accept, longer than last, or returns why there is no other.
func (s *Server) acceptAgain(failed error, last time.Duration) (backoff time.Duration, err error) {
	if s.isClosing() {
		return 0, ErrServerClosed
	}
	if backoff = nextBackoff(failed, last); backoff == 0 {
		return 0, failed
	}
	s.log("ttrpc: accept failed", "error", failed, "backoff", backoff)
	if !s.pause(backoff) {
		return 0, ErrServerClosed
	}
	return backoff, nil
}

// run is the connection's goroutine.
func (sc *serverConn) run() {
	if sc.server.stats != nil {
		sc.beginStats(sc.server.stats)
	}
	if err := sc.start(); err != nil {
		sc.server.log("ttrpc: handshake failed", "error", err, "peer", sc.peer)
		sc.fail(err)
		sc.done()
		return
	}
	sc.server.workers.work(errand{read: sc, inside: true})
}

// nextBackoff returns how long to wait after a failed Accept: 0 when it is of no use, else twice as
// long each time, up to a second.
func nextBackoff(err error, last time.Duration) time.Duration {
	temporary, ok := err.(interface{ Temporary() bool })
	if !ok || !temporary.Temporary() {
		return 0
	}
	return min(max(2*last, 5*time.Millisecond), time.Second)
}

// pause waits, and reports whether the server is still open then.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
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
	if !s.takeSlot() {
		netConn.Close()
		return ErrServerClosed
	}
	sc := newServerConn(s, ctx, netConn)
	sc.over = make(chan struct{})
	if sc.peer == "" {
		sc.peer = peercred.Describe(netConn)
	}
	if !s.addConn(sc) {
		return ErrServerClosed
	}
	go sc.run() // it becomes one of the server's workers
	<-sc.over
	return sc.result()
}

// result is what ServeConn returns for a connection that is closed.
func (sc *serverConn) result() error {
	sc.mu.Lock()
	cause, opened := sc.cause, sc.t != nil
	sc.mu.Unlock()
	switch {
	case errors.Is(cause, transport.ErrDone):
		return ErrServerClosed
	case !opened:
		return fmt.Errorf("ttrpc: handshake with %s failed: %w", sc.peer, cause)
	case !isOrderly(cause):
		return fmt.Errorf("ttrpc: connection with %s failed: %w", sc.peer, cause)
	case sc.server.isClosing():
		return ErrServerClosed
	}
	return nil
}
