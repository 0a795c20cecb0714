//go:build go1.25

package clientconn

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// Each line of the table above role is a case.
func TestWhatEndsACall(t *testing.T) {
	data := func(flags byte) testkit.Frame {
		return testkit.Frame{ID: 1, Type: byte(wire.TypeData), Flags: flags, Data: []byte("x")}
	}
	large := func(typ wire.Type) testkit.Frame {
		return testkit.Frame{ID: 1, Type: byte(typ), Data: make([]byte, maxRecv+1)}
	}
	for name, test := range map[string]struct {
		kind conn.Kind
		f    testkit.Frame
		want string // the failure; "": in order
		told bool
	}{
		"Response":      {conn.Unary, response(1), "", false},
		"the last Data": {conn.BidiStream, data(wire.FlagRemoteClosed), "", false},
		"Request": {conn.BidiStream, testkit.Frame{ID: 1, Type: byte(wire.TypeRequest)},
			"unexpected \"request\" message received: protocol error", false},
		"a large Response":     {conn.Unary, large(wire.TypeResponse), callerr.Oversized(maxRecv+1, maxRecv).Error(), false},
		"large Data":           {conn.BidiStream, large(wire.TypeData), callerr.Oversized(maxRecv+1, maxRecv).Error(), true},
		"Data of a call":       {conn.Unary, data(0), "unexpected \"data\" message received: protocol error", true},
		"Data of a non-stream": {conn.ClientStream, data(0), "received data from non-streaming server: protocol error", true},
		"GoAway":               {conn.BidiStream, goAway(0), callerr.GoneAway().Error(), false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, peer.Greeted, func(t *testing.T, r *rig) {
				s := new(conn.Stream)
				if s.InitUnary(); test.kind != conn.Unary {
					s = r.newStream(test.kind)
				}
				testkit.Check(t, r.Begin(bg, s, request()))
				r.wantSent(t, "request 1 flags 0")
				r.answer(t, test.f)
				testkit.Equal(t, r.claim(1), nil)
				testkit.Equal(t, s.IsEnded(), true)
				got := ""
				if err := s.Failure(); err != nil {
					got = err.Error()
				}
				testkit.Equal(t, got, test.want)
				if test.told {
					r.wantSent(t, "cancel 1 flags 0")
				} else {
					r.wantSent(t)
				}
				r.answer(t, test.f) // late, if it is a call's
				r.wantUp(t)
			})
		})
	}
}

// A stream whose consumer takes nothing is given up.
func TestStalledStream(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		s := r.stream(t, conn.ServerStream)
		for range 2 * streamBuffer / maxRecv {
			r.answer(t, testkit.Frame{ID: 1, Type: byte(wire.TypeData), Data: make([]byte, maxRecv)})
		}
		<-time.NewTimer(2 * time.Minute).C
		testkit.WantExactly(t, s.Failure(), callerr.ErrStreamFull)
	})
}

// The end of the connection is told as it was, but for a server that has never spoken.
func TestEndOfReading(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.server.Close()
		synctest.Wait()
		err := <-r.owner.ended
		testkit.WantIs(t, err, io.EOF)
		testkit.Equal(t, err.Error(), "the server closed the connection before any answer: EOF")
	})
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.answer(t, response(1))
		r.server.Close()
		r.wantCause(t, io.EOF)
	})
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		(*role)(r.Conn).PeerSilent(time.Second)
		synctest.Wait()
		testkit.Equal(t, (<-r.owner.ended).Error(), callerr.Silent(time.Second).Error())
	})
}
