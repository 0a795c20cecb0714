//go:build go1.25

package clientconn

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// A call is given up once, and who did not get it says nothing. Of a deadline the server is told
// that it was one.
func TestGiveUp(t *testing.T) {
	inBubble(t, peer.Known, func(t *testing.T, r *rig) {
		s := r.stream(t, conn.BidiStream)
		r.GiveUp(1, context.DeadlineExceeded)
		r.GiveUp(1, errFirst)
		testkit.WantExactly(t, s.Failure(), context.DeadlineExceeded)
		r.wantSent(t, "request 1 flags 0", "hello 1 flags 0", fmt.Sprintf("cancel 1 flags %d", wire.FlagDeadline))
	})
}

// What is given up before the server is known is cancelled then: in bounds, and without what the
// server has the deadline of.
func TestGiveUpBeforeTheServerIsKnown(t *testing.T) {
	inBubble(t, peer.Unknown, func(t *testing.T, r *rig) {
		want := []string{}
		for i := range uint32(maxUncancelled + 2) {
			r.stream(t, conn.BidiStream)
			why := errFirst
			if i == 0 {
				why = context.DeadlineExceeded
			} else if i <= maxUncancelled {
				want = append(want, fmt.Sprintf("cancel %d flags 0", 2*i+1))
			}
			r.GiveUp(2*i+1, why)
		}
		synctest.Wait()
		for len(r.sent) > 0 {
			testkit.Equal(t, (<-r.sent).Type, wire.TypeRequest)
		}
		r.answer(t, known(1)) // late, and nobody's
		r.wantSent(t, want...)
		r.answer(t, known(1))
		s := r.stream(t, conn.BidiStream)
		r.GiveUp(s.ID(), errFirst)
		r.wantSent(t, fmt.Sprintf("request %d flags 0", s.ID()), fmt.Sprintf("hello %d flags 0", s.ID()),
			fmt.Sprintf("cancel %d flags 0", s.ID()))
	})
}

// Without extensions nothing is told, nor kept.
func TestGiveUpWithoutExtensions(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.stream(t, conn.BidiStream)
		r.GiveUp(1, errFirst)
		r.answer(t, known(1))
		r.wantSent(t, "request 1 flags 0")
		testkit.Equal(t, len(r.uncancelled), 0)
	})
}

// Limits with which streams begin, and GoAways, cost no look at each call: a server may send them
// without end.
func TestFloodOfLimitsAndGoAways(t *testing.T) {
	c := new(Conn)
	c.Init(nil, nil, false)
	call := new(counted)
	for id := range uint32(100) {
		c.RegisterLocked(2*id+1, call)
	}
	for i := range 100 {
		limit := []uint64{0, flow.NoLimit, 5, 3}[i%4]
		raw := wire.WindowFrame(0, limit).Bytes()
		(*role)(c).HandleExtension(&transport.Inbound{Header: wire.ParseHeader(raw), Raw: raw})
	}
	testkit.Equal(t, call.looks, 0)
	testkit.Equal(t, len(c.dropAbove(180)), 10)
	testkit.Equal(t, call.looks, 10)
	c.RegisterLocked(185, call) // which no client does: looked at, it would be dropped
	for last := uint32(179); last < 300; last++ {
		testkit.Equal(t, len(c.dropAbove(last)), 0)
	}
	testkit.Equal(t, len(c.dropAbove(178)), 2)
}

// counted is a call in flight that counts how often it is looked at.
type counted struct{ looks int }

func (c *counted) Receiver() *conn.Stream { c.looks++; return new(conn.Stream) }

// A limit for streams to come holds for those, and one for a call that is no stream's for none.
func TestLimitOfStreamsToCome(t *testing.T) {
	inBubble(t, peer.Greeted, func(t *testing.T, r *rig) {
		limit := func(id uint32, data ...byte) testkit.Frame {
			return testkit.Frame{ID: id, Type: byte(wire.TypeWindow), Data: data}
		}
		r.answer(t, limit(0, 0, 0, 0, 0, 0, 0, 0, 5))
		r.answer(t, limit(0, 1, 2, 3)) // is none
		r.answer(t, limit(99, 0, 0, 0, 0, 0, 0, 0, 7))
		s := r.stream(t, conn.BidiStream)
		r.Lock()
		defer r.Unlock()
		testkit.Equal(t, s.ProgressLocked().Sent, conn.Window{Limited: true, Limit: 5})
	})
}

// A server that is not known to know extensions is not heard on them.
func TestExtensionsOfAnUnknownServer(t *testing.T) {
	inBubble(t, peer.Unknown, func(t *testing.T, r *rig) {
		s := r.stream(t, conn.BidiStream)
		r.answer(t, goAway(0))
		testkit.Equal(t, s.IsEnded(), false)
		r.unary(t)
		r.wantUp(t)
	})
}
