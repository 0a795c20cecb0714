//go:build go1.25

package serverconn

import (
	"testing"

	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// A call begins on an open connection of a server that takes calls, within the limits.
func TestBegin(t *testing.T) {
	r := open(t, peer.Off)
	for id := range uint32(3) {
		r.begin(t, 2*id+1, new(fakeCall))
	}
	closed, refusal := r.Begin(7, new(fakeCall), 10)
	testkit.Equal(t, closed, false)
	testkit.Equal(t, refusal, "ttrpc: more than 3 calls in flight")
	r.finish(5)
	_, refusal = r.Begin(7, new(fakeCall), 981)
	testkit.Equal(t, refusal, "ttrpc: requests in flight exceed 1000 bytes")
	r.Lock()
	testkit.Equal(t, r.InFlightLocked(), 2)
	testkit.Equal(t, r.RunningLocked(), 2)
	testkit.Equal(t, r.RequestsLocked(), 20)
	r.Unlock()

	r.server.done = true
	closed, _ = r.Begin(9, new(fakeCall), 10)
	testkit.Equal(t, closed, true)
	r.server.done = false
	r.Drain()
	closed, _ = r.Begin(9, new(fakeCall), 10)
	testkit.Equal(t, closed, true)
}

// The first answer of a connection says that this server knows extensions, unless it uses none.
func TestFirstAnswerIsMarked(t *testing.T) {
	for state, want := range map[peer.State]uint8{peer.Off: 0, peer.Unknown: wire.FlagExtensions} {
		r := open(t, state)
		r.begin(t, 1, new(fakeCall))
		r.finish(1)
		flags, _ := r.wantFrame(t, wire.TypeData, 1)
		testkit.Equal(t, flags&wire.FlagExtensions, want)
		r.Answer(3, wire.EndFrame())
		flags, _ = r.wantFrame(t, wire.TypeData, 3)
		testkit.Equal(t, flags&wire.FlagExtensions, 0)
	}
}

// What a handler returns goes nowhere where another has answered for its call, and its server
// learns of answers once it shuts down.
func TestAnsweredForAHandler(t *testing.T) {
	r := open(t, peer.Off)
	r.begin(t, 1, new(fakeCall))
	r.begin(t, 3, new(fakeCall))
	r.finish(3)
	r.wantFrame(t, wire.TypeData, 3)
	testkit.Equal(t, r.server.advanced.Load(), 0)
	r.Drain()
	r.Lock()
	testkit.Equal(t, r.ClaimLocked(1) != nil, true)
	r.Unlock()
	r.Answer(1, wire.EndFrame())
	r.NoteAnswered()
	testkit.Equal(t, r.server.advanced.Load(), 1)
	r.wantFrame(t, wire.TypeData, 1)
	r.finish(1)
	testkit.Equal(t, r.server.advanced.Load(), 2)
}

// The slot is free when the last handler has returned, and the connection's goroutine has ended.
func TestSlotIsFreed(t *testing.T) {
	for _, handlerIsLast := range []bool{false, true} {
		r := open(t, peer.Off)
		r.begin(t, 1, new(fakeCall))
		first, second := func() { r.finish(1) }, r.ReadingEnded
		if handlerIsLast {
			first, second = second, first
		}
		first()
		testkit.Equal(t, r.server.freed.Load(), 0)
		second()
		testkit.Equal(t, r.server.freed.Load(), 1)
	}
}
