//go:build go1.25

package ttrpc_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
)

func TestP9IdsAreOdd(t *testing.T) {
	c, p := rawServer(t, "unix")
	for i := range 5 {
		if i%2 == 0 {
			goCall(bg, c, "echo", "x")
		} else {
			open(t, bg, c, both, "chat", nil)
		}
		equal(t, p.recv().id, uint32(2*i+1))
	}
}

// Hundreds of goroutines open calls and streams, with contexts that end and without.
func TestP10IdsIncreaseOnTheWire(t *testing.T) {
	const callers, each = 50, 20
	c, p := rawServer(t, "unix")
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	for i := range callers {
		go func() {
			for range each {
				switch i % 3 {
				case 0:
					_, _ = c.NewStream(ctx, both, svc, "chat", nil)
				case 1:
					go func() { _, _ = call(ctx, c, "echo", strings.Repeat("x", 100*i)) }()
				case 2:
					go func() { _, _ = call(bg, c, "echo", "x") }()
				}
			}
		}()
	}
	for i := range callers * each {
		f := p.recv()
		equal(t, f.typ, 1)
		equal(t, f.id, uint32(2*i+1))
	}
}

func TestP11UsedUpIdsNeverWrapAround(t *testing.T) {
	c, p := rawServer(t, "unix")
	ttrpc.SetNextStreamID(c, math.MaxUint32-2)
	first, second := goCall(bg, c, "echo", "x"), goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, math.MaxUint32-2)
	equal(t, p.recv().id, math.MaxUint32)
	_, err := call(bg, c, "echo", "x")
	wantIs(t, err, ttrpc.ErrClosed, ttrpc.ErrStreamIDsExhausted)
	_, err = c.NewStream(bg, both, svc, "chat", nil)
	wantIs(t, err, ttrpc.ErrClosed, ttrpc.ErrStreamIDsExhausted)
	check(t, c.Err()) // those in flight go on
	p.send(answer(math.MaxUint32-2, "x"), answer(math.MaxUint32, "x"))
	check(t, wait(t, first, "call in flight"))
	check(t, wait(t, second, "call in flight"))
	p.wantEnd()
	wantIs(t, c.Err(), ttrpc.ErrClosed, ttrpc.ErrStreamIDsExhausted)
}

// A server gets everything that it answers in different ways, and answers each id once.
func TestP12EachRequestGetsOneAnswer(t *testing.T) {
	g := newGate()
	r := serve(t, withMethod("gated", g.unary()))
	p := r.raw()
	var id uint32 = 1
	want := map[uint32]bool{}
	for range 50 {
		for _, f := range []rawFrame{
			request(0, "echo", "x"), request(0, "fail", "x"), request(0, "none", "x"),
			requestOf(0, 0, &ttrpc.Request{Service: "none"}), {typ: 1, data: []byte{0xff}},
			requestOf(0, 0, &ttrpc.Request{Service: svc, Method: "hold", TimeoutNano: 1}),
			requestOf(0, 1, &ttrpc.Request{Service: svc, Method: "list", Payload: encode(text("2"))}),
			request(0, "gated", "x"), // when this one runs all before it has been read
		} {
			f.id = id
			p.send(f)
			want[id] = true
			id += 2
		}
	}
	for range 50 {
		wait(t, g.started, "gated call")
	}
	shut := make(chan error, 1)
	go func() { shut <- r.Shutdown(bg) }()
	g.open()
	for {
		f, err := p.receive()
		if err != nil {
			break
		}
		if f.typ == 3 && f.flags&1 == 0 {
			continue // a message of a stream
		}
		if !want[f.id] {
			t.Errorf("answer for nothing: %v", f)
		}
		delete(want, f.id)
	}
	if len(want) > 0 {
		t.Errorf("no answer for %v", want)
	}
	check(t, wait(t, shut, "Shutdown"))
}

func TestP13SlowCallHoldsUpNoOther(t *testing.T) {
	g := newGate()
	p := serve(t, withMethod("gated", g.unary()), withStream("gatedStream", g.stream())).raw()
	p.send(request(1, "gated", "slow"), opening(3, "gatedStream"))
	for id := uint32(5); id < 200; id += 2 {
		p.wantUsable(id)
	}
	g.open()
	p.wantAnswer(1, "slow")
}
