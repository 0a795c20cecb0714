//go:build go1.25

package serverconn

import (
	"testing"

	"github.com/containerd/ttrpc/internal/callctx"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/conns"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// Drain leaves an open connection to its calls, and tells a client that knows extensions which are
// the last.
func TestDrain(t *testing.T) {
	for _, state := range []peer.State{peer.Off, peer.Unknown, peer.Known} {
		r := open(t, state)
		r.begin(t, 3, new(fakeCall))
		r.begin(t, 1, new(fakeCall))
		testkit.Equal(t, r.IsDraining(), false)
		testkit.Equal(t, r.Drain(), true)
		testkit.Equal(t, r.IsDraining(), true)
		testkit.Equal(t, r.Drain(), true) // which says it once
		if state == peer.Unknown {
			r.HandleHello()
			r.HandleHello()
		}
		if state != peer.Off {
			_, data := r.wantFrame(t, wire.TypeGoAway, 0)
			last, _ := wire.ParseGoAway(data)
			testkit.Equal(t, last, 3)
		}
		r.finish(1)
		r.wantFrame(t, wire.TypeData, 1)
	}
}

// One that is in its handshake is to be closed at once.
func TestDrainInTheHandshake(t *testing.T) {
	r := newRig(t)
	testkit.Equal(t, r.Drain(), false)
	testkit.Equal(t, r.end(errBroken), true)
	testkit.Equal(t, r.Cause(), errBroken)
	r.Lock()
	defer r.Unlock()
	testkit.Equal(t, r.OpenLocked(r.NetConn(), r.role, new(conn.Config)), false)
}

// The table of conns.Stage, as a connection goes through it.
func TestStage(t *testing.T) {
	r := newRig(t)
	testkit.Equal(t, r.Stage(), conns.Busy)
	r.end(errBroken)
	testkit.Equal(t, r.Stage(), conns.Written)

	r = open(t, peer.Off)
	testkit.Equal(t, r.Stage(), conns.Quiet)
	own := new(callctx.Context)
	r.begin(t, 1, &fakeCall{own: own})
	r.begin(t, 3, new(fakeCall))
	r.Drain()
	testkit.Equal(t, r.Stage(), conns.Busy)
	testkit.Equal(t, r.WaitWithin(own, func() error {
		testkit.Equal(t, r.Stage(), conns.Busy)
		return r.WaitWithin(nil, func() error {
			testkit.Equal(t, r.Stage(), conns.Quiet)
			return errBroken
		})
	}), errBroken)
	testkit.Equal(t, r.Stage(), conns.Busy)
	r.finish(1)
	posted := r.Finish(3, 10, wire.EndFrame())
	testkit.Equal(t, r.Stage(), conns.Answered)
	posted.Flush(true)
	testkit.Eventually(t, "it is written", func() bool { return r.Stage() == conns.Written })
}
