//go:build go1.25

package ttrpc

import (
	"testing"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// counted is a call in flight that counts how often it is looked at.
type counted struct{ looks int }

func (c *counted) Receiver() *conn.Stream { c.looks++; return new(conn.Stream) }

// Limits with which streams begin, and GoAways, cost no look at each call: a server may send them
// without end.
func TestFloodOfLimitsAndGoAways(t *testing.T) {
	c := new(Client)
	call := new(counted)
	for id := range uint32(100) {
		c.conn.RegisterLocked(2*id+1, call)
	}
	for i := range 100 {
		limit := []uint64{0, flow.NoLimit, 5, 3}[i%4]
		h := wire.ParseHeader(wire.WindowFrame(0, limit).Bytes())
		c.handleLimit(&transport.Inbound{Header: h, Raw: wire.WindowFrame(0, limit).Bytes()})
	}
	testkit.Equal(t, call.looks, 0)
	testkit.Equal(t, len(c.dropAbove(180)), 10)
	testkit.Equal(t, call.looks, 10)
	c.conn.RegisterLocked(185, call) // which no client does: looked at, it would be dropped
	for last := uint32(179); last < 300; last++ {
		testkit.Equal(t, len(c.dropAbove(last)), 0)
	}
	testkit.Equal(t, len(c.dropAbove(178)), 2)
}
