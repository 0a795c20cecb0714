package ttrpc

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/callctx"
	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conns"
	"github.com/containerd/ttrpc/internal/runner"
	"github.com/containerd/ttrpc/internal/serverconn"
	"github.com/containerd/ttrpc/internal/stats"
	"github.com/containerd/ttrpc/internal/streamids"
	"github.com/containerd/ttrpc/internal/transport"
)

// serverConn is a connection that a server has accepted, with what its calls mean. Its goroutine
// does the handshake, then reads; calls run on workers. Whoever claims a call answers it: who has
// run it, with the result, or the reader, where the peer has broken the protocol in it. A call that
// the client has cancelled gets no answer.
type serverConn struct {
	conn   serverconn.Conn
	server *Server
	peer   string // who it is, for the log and for what ServeConn returns

	outlived callctx.Outlived // of unary calls, for goroutines that handlers have left behind
	ids      streamids.Set    // of the Requests so far; the reader's
	runs     runner.Conn

	// The lock of conn guards these.
	handshake any               // what the handshake has returned beside the conn
	tellEnd   func(cause error) // to handlers of stats, once; nil: not begun, or told
}

func newServerConn(s *Server, ctx context.Context, netConn net.Conn) *serverConn {
	sc := &serverConn{server: s}
	sc.conn.Init(netConn, &s.conns, ctx, sc, s.maxCalls, s.requestBuffer)
	if s.logger != nil {
		sc.peer = s.describe(netConn)
	}
	return sc
}

// beginStats tells the begin. The connection may have been closed meanwhile.
func (sc *serverConn) beginStats(by stats.Handler) {
	c := sc.conn.Contexts()
	ctx, tellEnd := by.BeginConn(c.Base(), sc.conn.NetConn(), false)
	c.Init(ctx, sc)
	sc.conn.Lock()
	sc.tellEnd = tellEnd
	closed := sc.conn.CauseLocked() != nil
	sc.conn.Unlock()
	if closed {
		sc.endStats()
	}
}

// endStats tells the end of a connection that is closed, if its begin was told and the end was not.
func (sc *serverConn) endStats() {
	sc.conn.Lock()
	tell, cause := sc.tellEnd, sc.conn.CauseLocked()
	sc.tellEnd = nil
	sc.conn.Unlock()
	if tell != nil {
		tell(cause)
	}
}

// RecvFailed takes whatever ends a connection that drains for what was meant.
func (sc *serverConn) RecvFailed(err error) {
	if sc.conn.IsDraining() {
		err = transport.ErrDone
	}
	sc.fail(err)
}

// PeerSilent closes the connection.
func (sc *serverConn) PeerSilent(within time.Duration) { sc.RecvFailed(callerr.Silent(within)) }

// open does the handshake and makes the transport.
func (sc *serverConn) open() error {
	s, netConn := sc.server, sc.conn.NetConn()
	var data any
	if s.handshake != nil {
		var err error
		c := sc.conn.Contexts()
		netConn, data, err = s.handshake(c.Base(), c.Context(), c.End, netConn, s.handshakeTimeout)
		if err != nil {
			return err
		}
	}
	sc.conn.Lock()
	defer sc.conn.Unlock()
	config := s.connConfig(false)
	config.OnFail = sc.fail
	if !sc.conn.OpenLocked(netConn, sc, &config) {
		netConn.Close()
		return ErrServerClosed
	}
	sc.handshake = data
	return nil
}

// ContextEnded has handlers look that are in RecvMsg.
func (sc *serverConn) ContextEnded() { sc.conn.WakeStreams() }

// connOf is the connection of a handler's context; nil for any other.
func connOf(ctx context.Context) *serverConn {
	sc, _ := ctx.Value(callctx.OwnerKey{}).(*serverConn)
	return sc
}

// begin puts a call in flight that its client has begun, or says what to answer instead.
func (sc *serverConn) begin(call *serverCall) *status.Status {
	call.prepare(sc.conn.Contexts().Context(), sc.conn.Extensions().Used())
	closed, refusal := sc.conn.Begin(call.id, call, call.request.Cost())
	switch {
	case closed:
		return status.New(codes.Unavailable, ErrServerClosed.Error())
	case refusal != "":
		return status.New(codes.ResourceExhausted, refusal)
	}
	return nil
}

// Drain implements [conns.Conn].
func (sc *serverConn) Drain() {
	if !sc.conn.Drain() {
		sc.Cut()
	}
}

// Stage implements [conns.Conn].
func (sc *serverConn) Stage() conns.Stage { return sc.conn.Stage() }

// Cut closes the connection at once.
func (sc *serverConn) Cut() { sc.fail(transport.ErrDone) }

// fail closes the connection at once; the first cause counts.
// Handlers learn of it by their contexts.
func (sc *serverConn) fail(cause error) {
	if !sc.conn.End(cause) {
		return
	}
	if sc.conn.Transport() != nil {
		sc.server.logEnd(cause, "peer", sc.peer)
	}
	go sc.server.conns.Remove(sc, sc.closeNetConn)
}

// closeNetConn closes the net.Conn, and tells the end.
func (sc *serverConn) closeNetConn() {
	sc.conn.CloseNetConn()
	sc.endStats()
}

// shutdownWithin shuts the server down for a handler, whose call is not waited for.
func (sc *serverConn) shutdownWithin(ctx context.Context) error {
	own, _ := ctx.Value(callKey{}).(*callContext)
	return sc.conn.WaitWithin(own.base(), func() error { return sc.server.conns.ShutdownWithin(ctx) })
}
