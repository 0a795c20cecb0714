//go:build go1.25

package conn

import (
	"slices"
	"testing"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// A call is in flight until somebody claims it, who alone gets it.
func TestCallsInFlight(t *testing.T) {
	c, _, _ := onPipe(t, Config{})
	s := newStream(c, 1)
	testkit.Equal(t, c.isSole(1), true)
	testkit.Equal(t, c.isSole(3), false)
	unary := new(Stream)
	unary.InitUnary()
	c.Lock()
	c.RegisterLocked(3, unary)
	c.RegisterLocked(5, noStream{})
	c.Unlock()
	testkit.Equal(t, c.isSole(1), false)
	testkit.Equal(t, slices.Equal(c.streams(), []*Stream{s}), true)
	for id, want := range map[uint32]struct {
		s    *Stream
		live bool
	}{1: {s, true}, 3: {unary, true}, 5: {nil, true}, 7: {nil, false}} {
		got, live := c.lookup(id)
		testkit.Equal(t, got, want.s)
		testkit.Equal(t, live, want.live)
	}
	c.Lock()
	defer c.Unlock()
	testkit.Equal(t, c.IsLiveLocked(s), true)
	var ids []uint32
	for id := range c.CallsLocked() {
		ids = append(ids, id)
		testkit.Equal(t, c.ClaimLocked(id) != nil, true)
		testkit.Equal(t, c.ClaimLocked(id), nil)
	}
	slices.Sort(ids)
	testkit.Equal(t, slices.Equal(ids, []uint32{1, 3, 5}), true)
	testkit.Equal(t, c.InFlightLocked(), 0)
	testkit.Equal(t, c.IsLiveLocked(s), false)
}

// A stream that has another's id is not in flight by that.
func TestIsLiveIsOfTheStreamItself(t *testing.T) {
	c, _, _ := onPipe(t, Config{})
	newStream(c, 1)
	other := new(Stream)
	other.InitStream(c, 1, BidiStream, recv.UntilEnded)
	c.Lock()
	defer c.Unlock()
	testkit.Equal(t, c.IsLiveLocked(other), false)
}

// A call that this side begins is in flight with its first frame, under its limit, and not at all
// where that can't be posted.
func TestBeginPostsAndRegisters(t *testing.T) {
	c, _, other := onPipe(t, Config{})
	var first *flow.FirstLimit
	s := new(Stream)
	s.InitStream(c, 0, BidiStream, recv.UntilEnded)
	c.Lock()
	posted, err := c.BeginLocked(7, s, message("request"), first.Next(5))
	testkit.Check(t, err)
	testkit.Equal(t, s.ID(), 7)
	testkit.Equal(t, c.IsLiveLocked(s), true)
	testkit.Equal(t, s.ProgressLocked().Sent, Window{Limited: true, Limit: 5})
	c.Unlock()
	posted.FlushLater()
	h, data := frame(t, other)
	testkit.Equal(t, h.Stream, 7)
	testkit.Equal(t, data, "request")

	c.Transport().Stop(errFirst)
	c.Lock()
	defer c.Unlock()
	posted, err = c.BeginLocked(9, s, wire.EndFrame(), nil)
	posted.FlushLater()
	testkit.WantExactly(t, err, errFirst)
	testkit.Equal(t, c.ClaimLocked(9), nil)
}
