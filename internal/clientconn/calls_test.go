//go:build go1.25

package clientconn

import (
	"context"
	"io"
	"math"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
)

// Ids are odd, and in the order of the frames. The last one is used, and then the connection ends
// with the last call.
func TestIDsOfCalls(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.unary(t)
		r.stream(t, conn.BidiStream)
		r.wantSent(t, "request 1 flags 0", "request 3 flags 0")
		r.SkipIDs(math.MaxUint32)
		last := r.unary(t)
		testkit.Equal(t, last.ID(), math.MaxUint32)
		r.wantRefused(t, "ttrpc: closed: ttrpc: stream ids exhausted")
		for _, id := range []uint32{1, 3} {
			r.answer(t, response(id))
			r.wantUp(t)
		}
		r.answer(t, response(math.MaxUint32))
		r.wantCause(t, callerr.ErrStreamIDsExhausted)
	})
}

// With no call in flight a connection without an id ends at the next call.
func TestNoIDLeft(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.SkipIDs(math.MaxUint32)
		r.answer(t, response(r.unary(t).ID()))
		r.wantCause(t, callerr.ErrStreamIDsExhausted)
		r.wantRefused(t, "ttrpc: closed: ttrpc: stream ids exhausted")
	})
}

// No call begins when a connection drains, was left, or has ended.
func TestCallsThatComeTooLate(t *testing.T) {
	inBubble(t, peer.Known, func(t *testing.T, r *rig) {
		r.unary(t)
		r.answer(t, goAway(1))
		r.wantRefused(t, callerr.GoneAway().Error())
		r.Leave()
		r.wantRefused(t, callerr.GoneAway().Error())
		r.wantUp(t) // a call is in flight
		r.End(errFirst, errEnded, false)
		r.wantRefused(t, "ttrpc: closed: the first")
	})
}

// A call whose first frame can not be posted is not in flight.
func TestBeginThatFails(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.Transport().Stop(errFirst)
		testkit.Equal(t, r.Begin(bg, r.newStream(conn.BidiStream), request()).Error(), "ttrpc: closed: the first")
		r.Lock()
		testkit.Equal(t, r.InFlightLocked(), 0)
		r.Unlock()
	})
}

// Calls that come too late were not sent, but for those of a plain client after an orderly end,
// which get ErrClosed itself. One whose context has ended is told of the connection's end, too.
func TestUnsent(t *testing.T) {
	c := new(Conn)
	c.Init(nil, nil, false)
	testkit.WantExactly(t, c.unsent(io.EOF), callerr.ErrClosed)
	testkit.Equal(t, callerr.NotSent(c.unsent(errFirst)), true)
	testkit.WantIs(t, c.unsent(errFirst), errFirst)
	testkit.WantExactly(t, c.NotBegun(context.Canceled), context.Canceled)
	c.redialed = true
	testkit.Equal(t, callerr.NotSent(c.unsent(io.EOF)), true)
	testkit.Equal(t, c.unsent(io.EOF).Error(), "ttrpc: closed: EOF")
	c.Close(errFirst, errEnded, func(conn.Call) {})
	testkit.WantIs(t, c.NotBegun(context.Canceled), errFirst)
}

// A unary call returns with its Response, its connection's end, or its context's.
func TestAwait(t *testing.T) {
	inBubble(t, peer.Known, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithCancel(bg)
		for _, ctx := range []context.Context{bg, ctx} {
			s := r.unary(t)
			f := response(s.ID())
			f.Data = []byte("answer")
			r.answer(t, f)
			reply, err := r.Await(ctx, s)
			testkit.Check(t, err)
			testkit.Equal(t, string(reply.Data()), "answer")
			reply.Free()
		}
		r.wantSent(t, "request 1 flags 0", "hello 1 flags 0", "request 3 flags 0")
		s := r.unary(t)
		cancel()
		_, err := r.Await(ctx, s)
		testkit.WantExactly(t, err, context.Canceled)
		r.wantSent(t, "request 5 flags 0", "cancel 5 flags 0")
		s = r.unary(t)
		r.End(errFirst, errEnded, false)
		_, err = r.Await(bg, s)
		testkit.WantExactly(t, err, errEnded)
	})
}

// A call that somebody has claimed when its context ends is ended by him.
func TestAwaitWhatIsClaimed(t *testing.T) {
	inBubble(t, peer.Known, func(t *testing.T, r *rig) {
		s := r.unary(t)
		testkit.Equal(t, r.claim(s.ID()), s)
		ctx, cancel := context.WithCancel(bg)
		cancel()
		got := make(chan error, 1)
		go func() {
			_, err := r.Await(ctx, s)
			got <- err
		}()
		synctest.Wait()
		testkit.Equal(t, len(got), 0)
		s.CloseRecv(nil, errFirst)
		testkit.WantExactly(t, <-got, errFirst)
	})
}

// ended is a context of a user's, whose Done is its own.
type ended struct{ context.Context }

func (ended) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func TestContextEnd(t *testing.T) {
	testkit.WantExactly(t, contextEnd(ended{bg}), context.Canceled)
	ctx, cancel := context.WithTimeout(bg, 0)
	defer cancel()
	testkit.WantExactly(t, contextEnd(ctx), context.DeadlineExceeded)
}

// A connection that was left ends with its last call.
func TestLeave(t *testing.T) {
	for _, inFlight := range []int{0, 2} {
		inBubble(t, peer.Off, func(t *testing.T, r *rig) {
			for range inFlight {
				r.unary(t)
			}
			r.Leave()
			for i := range inFlight {
				r.wantUp(t)
				r.answer(t, response(uint32(2*i+1)))
			}
			synctest.Wait()
			testkit.Equal(t, (<-r.owner.ended).Error(), "ttrpc: connection closed by the server")
			r.Leave()
		})
	}
}
