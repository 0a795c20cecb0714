package ttrpc

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// connStats is what a handler is told of one connection.
//
//	from        event                                            to
//	statsNone   the begin has been told                          statsBegun
//	any         the connection has ended                         statsEnded
//
// Whoever makes it statsEnded tells the end, but before the begin has been told: then who tells
// that does.
type connStats struct {
	state atomic.Int32
	ctx   context.Context
	event ConnEnd
}

const (
	statsNone = iota
	statsBegun
	statsEnded
)

// begin tags a connection and tells its begin.
func (s *connStats) begin(ctx context.Context, h StatsHandler, netConn net.Conn, client bool) context.Context {
	s.ctx = h.TagConn(ctx, &ConnInfo{Client: client, LocalAddr: netConn.LocalAddr(), RemoteAddr: netConn.RemoteAddr()})
	s.event.Client, s.event.Begin = client, time.Now()
	h.HandleConn(s.ctx, &ConnBegin{Client: client, Time: s.event.Begin})
	return s.ctx
}

// begun says that the begin has been told. cause is why the connection has ended, if it has.
func (s *connStats) begun(h StatsHandler, cause func() error) {
	if !s.state.CompareAndSwap(statsNone, statsBegun) {
		s.tell(h, cause())
	}
}

// end tells the end of a connection whose begin has been told. It is called once.
func (s *connStats) end(h StatsHandler, cause error) {
	if h != nil && s.state.Swap(statsEnded) == statsBegun {
		s.tell(h, cause)
	}
}

func (s *connStats) tell(h StatsHandler, cause error) {
	if !isOrderly(cause) {
		s.event.Err = cause
	}
	s.event.End = time.Now()
	h.HandleConn(s.ctx, &s.event)
}
