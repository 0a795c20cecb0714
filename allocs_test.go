//go:build !race && go1.25

package ttrpc_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
)

// The race detector allocates for itself and empties pools at random: these figures are for builds
// without it.

// within fails when f allocates more than its budget, on an average over so many runs that pools
// emptied by the collector do not show. What else the process does, such as the end of the test
// before, only adds to that: the least of some averages counts.
func within(t *testing.T, budget float64, f func()) {
	t.Helper()
	repeat(300, f) // workers, pools, buffers
	least := math.Inf(1)
	for try := 0; least > budget && try < 10; try++ {
		least = min(least, testing.AllocsPerRun(2000, f))
	}
	if least > budget {
		t.Errorf("%v allocations, the budget is %v", least, budget)
	}
}

func TestAllocationsOfUnaryCalls(t *testing.T) {
	for _, test := range unaryCases {
		t.Run(test.name, func(t *testing.T) {
			c, ctx, req, resp := benchClient(t, test.opts...), test.ctx(t), text("hello"), new(message)
			within(t, test.budget, func() { check(t, c.Call(ctx, svc, "echo", req, resp)) })
		})
	}
}

// Large messages come with no more allocations than small ones.
func TestAllocationsOfLargeMessages(t *testing.T) {
	c, req, resp := benchClient(t), text(strings.Repeat("x", 128<<10)), new(message)
	within(t, 12, func() { check(t, c.Call(bg, svc, "echo", req, resp)) })
}

func TestAllocationsOfStreams(t *testing.T) {
	c := benchClient(t)
	t.Run("ping-pong", func(t *testing.T) {
		cs, m := open(t, bg, c, both, "chat", nil), text("hello")
		within(t, 3, func() { check(t, cs.SendMsg(m)); check(t, cs.RecvMsg(m)) })
	})
	t.Run("open", func(t *testing.T) {
		within(t, 7, func() { openAndClose(t, c, "chat") })
	})
}

// A call of a client that dials again costs one allocation more.
func TestAllocationsOfDial(t *testing.T) {
	r := serve(t, withMethod("echo", echoMessage))
	c, req, resp := dialClient(t, r.l.Addr().String()), text("hello"), new(message)
	within(t, 5, func() { check(t, c.Call(bg, svc, "echo", req, resp)) })
}

// noStats is a StatsHandler that does nothing.
type noStats struct{}

func (noStats) TagConn(ctx context.Context, _ *ttrpc.ConnInfo) context.Context { return ctx }
func (noStats) HandleConn(context.Context, ttrpc.ConnEvent)                    {}
func (noStats) TagCall(ctx context.Context, _ *ttrpc.CallInfo) context.Context { return ctx }
func (noStats) HandleCall(context.Context, ttrpc.CallEvent)                    {}

// With a handler at both sides each event is an allocation, and each side's call some more.
func TestAllocationsOfStats(t *testing.T) {
	c := benchClient(t, ttrpc.WithServerStats(noStats{}), ttrpc.WithClientStats(noStats{}))
	m, resp := text("hello"), new(message)
	t.Run("unary", func(t *testing.T) {
		within(t, 25, func() { check(t, c.Call(bg, svc, "echo", m, resp)) })
	})
	t.Run("ping-pong", func(t *testing.T) {
		cs := open(t, bg, c, both, "chat", nil)
		within(t, 7, func() { check(t, cs.SendMsg(m)); check(t, cs.RecvMsg(m)) })
	})
	t.Run("open", func(t *testing.T) {
		within(t, 27, func() { openAndClose(t, c, "chat") })
	})
}
