package ttrpc

import (
	"context"
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/stats"
	"github.com/containerd/ttrpc/internal/transport"
)

// statsHandlers tells users' handlers, in this order. It is a [stats.Handler].
type statsHandlers []StatsHandler

// addStats adds a handler behind those that there are. nil is none.
func addStats(there stats.Handler, h StatsHandler) stats.Handler {
	if h == nil {
		return there
	}
	all, _ := there.(statsHandlers)
	return append(all, h)
}

// BeginConn implements [stats.Handler].
func (all statsHandlers) BeginConn(
	ctx context.Context, netConn net.Conn, client bool,
) (context.Context, func(cause error)) {
	info := &ConnInfo{Client: client, LocalAddr: netConn.LocalAddr(), RemoteAddr: netConn.RemoteAddr()}
	for _, h := range all {
		ctx = h.TagConn(ctx, info)
	}
	began := time.Now()
	all.handleConn(ctx, &ConnBegin{Client: client, Time: began})
	return ctx, func(cause error) {
		if transport.IsOrderly(cause) {
			cause = nil
		}
		all.handleConn(ctx, &ConnEnd{Client: client, Begin: began, End: time.Now(), Err: cause})
	}
}

func (all statsHandlers) handleConn(ctx context.Context, event ConnEvent) {
	for _, h := range all {
		h.HandleConn(ctx, event)
	}
}

// BeginCall implements [stats.Handler].
func (all statsHandlers) BeginCall(ctx context.Context, info stats.Info, request any) (*stats.Call, context.Context) {
	return stats.Begin(ctx, all, info, request)
}

// TagCall implements [stats.Handler].
func (all statsHandlers) TagCall(ctx context.Context, info *stats.Info) context.Context {
	for _, h := range all {
		ctx = h.TagCall(ctx, (*CallInfo)(info))
	}
	return ctx
}

// CallBegun implements [stats.Handler].
func (all statsHandlers) CallBegun(c *stats.Call) {
	all.handleCall(c, &CallBegin{CallInfo: CallInfo(c.Info()), Time: c.Began()})
}

// Received implements [stats.Handler].
func (all statsHandlers) Received(c *stats.Call, m any, size, wireSize int) {
	all.handleCall(c, &InPayload{Client: c.Info().Client, Message: m, Size: size, WireSize: wireSize, Time: time.Now()})
}

// Sent implements [stats.Handler].
func (all statsHandlers) Sent(c *stats.Call, m any, size, wireSize int) {
	all.handleCall(c, &OutPayload{Client: c.Info().Client, Message: m, Size: size, WireSize: wireSize, Time: time.Now()})
}

// CallEnded implements [stats.Handler].
func (all statsHandlers) CallEnded(c *stats.Call, err error) {
	all.handleCall(c, &CallEnd{
		CallInfo: CallInfo(c.Info()), Begin: c.Began(), End: time.Now(), Err: StatusOf(err).Err(), RemoteAddr: c.RemoteAddr(),
	})
}

func (all statsHandlers) handleCall(c *stats.Call, event CallEvent) {
	for _, h := range all {
		h.HandleCall(c.Context(), event)
	}
}
