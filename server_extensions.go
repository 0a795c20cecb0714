package ttrpc

import (
	"context"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// HandleExtension takes a frame that a client alone sends.
func (sc *serverConn) HandleExtension(in *transport.Inbound) {
	switch in.Type {
	case wire.TypeHello:
		sc.conn.HandleHello()
	case wire.TypeCancel:
		sc.cancelCall(in)
	}
}

// RestrainNew implements [conn.Role].
func (sc *serverConn) RestrainNew(before transport.Unwritten) transport.Unwritten {
	return sc.conn.RestrainNew(before)
}

// cancelCall ends a call that its client has given up: nothing more is sent for it. It counts among
// the calls in flight until its handler has returned, so that who opens and cancels calls in a loop
// gains nothing. A client's deadline passes before its server's, which began when the Request came:
// the handler hears the same error of either.
func (sc *serverConn) cancelCall(in *transport.Inbound) {
	call, ctx, ss := sc.claim(in.Stream)
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
	sc.conn.NoteAnswered()
}
