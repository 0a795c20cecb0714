//go:build go1.25

package clientconn

import (
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
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

// Where the peer has closed, what it has sent before is still read, for some time. Any other
// failure of writing is the end.
func TestEndOfWriting(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.writeFailed(syscall.EPIPE)
		r.wantUp(t)
		<-time.NewTimer(2 * transport.LingerTimeout).C
		r.wantCause(t, syscall.EPIPE)
	})
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.writeFailed(errFirst)
		r.wantCause(t, errFirst)
	})
}
