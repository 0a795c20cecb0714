package ttrpc

import (
	"context"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// handleExtension takes a frame that a client alone sends.
func (sc *serverConn) handleExtension(in *transport.Inbound) {
	switch in.Type {
	case wire.TypeHello:
		sc.handleHello()
	case wire.TypeCancel:
		sc.cancelCall(in)
	}
}

// handleHello notes that the client knows extensions. It may be late for a server that shuts down.
func (sc *serverConn) handleHello() {
	sc.mu.Lock()
	var posted transport.Unwritten
	if sc.ext.Learn() && sc.state == connDraining {
		posted = sc.goAwayLocked()
	}
	sc.mu.Unlock()
	posted.FlushLater()
}

// restrainNew tells a client with which limit its streams begin: none may send while the budget is
// crowded, before the handler waits for a message.
func (sc *serverConn) restrainNew(before transport.Unwritten) transport.Unwritten {
	limit := uint64(flow.NoLimit)
	sc.mu.Lock()
	if sc.inflow.IsCrowded() { // looked at under the lock: the last to tell knows what holds
		limit = 0
	}
	posted, err := sc.t.Post(wire.WindowFrame(0, limit))
	sc.mu.Unlock()
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
