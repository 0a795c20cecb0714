//go:build go1.25

package ttrpc_test

import (
	"context"
	"testing"
)

// One of many requests that come in one piece blocks, in a method that has always been quick: the others are answered,
// those behind it too, and what was answered before it is not kept back.
func TestBriefMethodBlocksInACrowd(t *testing.T) {
	g := newGate()
	p := serve(t, withMethod("moody", unary(func(_ context.Context, in string) (string, error) {
		if in == "block" {
			g.pass(in)
		}
		return in, nil
	}))).raw()
	id := uint32(1)
	batch := func(blocking int) (blocked uint32) {
		var requests []rawFrame
		wanted := map[uint32]bool{}
		for i := range 50 {
			in := "x"
			if i == blocking {
				in, blocked = "block", id
			} else {
				wanted[id] = true
			}
			requests = append(requests, request(id, "moody", in))
			id += 2
		}
		p.send(requests...)
		for len(wanted) > 0 {
			f := p.recv()
			if !wanted[f.id] || !f.equal(answer(f.id, "x")) {
				t.Fatal("not wanted:", f)
			}
			delete(wanted, f.id)
		}
		return blocked
	}
	for _, blocking := range []int{3, 0, 49} {
		for range 40 {
			batch(-1)
		}
		blocked := batch(blocking)
		wait(t, g.started, "the blocking call")
		batch(-1)
		g.release <- struct{}{}
		p.wantAnswer(blocked, "block")
	}
}
