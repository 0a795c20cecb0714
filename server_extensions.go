package ttrpc

import (
	"context"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// HandleExtension takes a frame that a client alone sends.
func (sc *serverConn) HandleExtension(in *transport.Inbound) {
	switch in.Type {
	case wire.TypeHello:
		sc.handleHello()
	case wire.TypeCancel:
		sc.cancelCall(in)
	}
}

// handleHello notes that the client knows extensions. It may be late for a server that shuts down.
func (sc *serverConn) handleHello() {
	sc.conn.Lock()
	var posted transport.Unwritten
	if sc.conn.Extensions().Learn() && sc.conn.StateLocked() == conn.Draining {
		posted = sc.goAwayLocked()
	}
	sc.conn.Unlock()
	posted.FlushLater()
}

// RestrainNew tells a client with which limit its streams begin.
func (sc *serverConn) RestrainNew(before transport.Unwritten) transport.Unwritten {
	sc.conn.Lock()
	defer sc.conn.Unlock()
	posted, err := sc.conn.PostLocked(wire.WindowFrame(0, sc.conn.FirstLimitLocked()))
	if err != nil {
		return before
	}
	return posted
}

// cancelCall ends a call that its client has given up: nothing more is sent for it. It counts among
// the calls in flight until its handler has returned, so that who opens and cancels calls in a loop
// gains nothing. A client's deadline passes before its server's, which began when the Request came:
// the handler hears the same error of either.
func (sc *serverConn) cancelCall(in *transport.Inbound) {
	call, ctx, ss := sc.remove(in.Stream)
	if call == nil {
		return // its answer has crossed the Cancel
	}
	err := context.Canceled
	if _, limited := ctx.Deadline(); limited && in.Flags&wire.FlagDeadline != 0 {
		err = context.DeadlineExceeded
	}
	ctx.Cancel(err)
	if ss != nil {
		ss.cancelWith(err)
	}
	sc.noteAnswered()
}
