//go:build go1.25

package ttrpc_test

import (
	"context"
	"testing"

	"github.com/containerd/ttrpc"
)

// One of many requests that come in one piece blocks, in a method that has always been quick: the
// others are answered, those behind it too, and what was answered before it is not kept back.
func TestBriefMethodThatBlocksHoldsUpNobody(t *testing.T) {
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

// A method that has always been quick blocks one day: its connection goes on all the same.
func TestQuickMethodThatBlocks(t *testing.T) {
	for _, intercepted := range []bool{false, true} {
		g := newGate()
		opts := []any{withMethod("moody", unary(func(_ context.Context, in string) (string, error) {
			if in == "block" {
				g.pass(in)
			}
			return in, nil
		}))}
		if intercepted {
			opts = append(opts, ttrpc.WithUnaryServerInterceptor(new(trace).server("a")))
		}
		p := serve(t, opts...).raw()
		id := uint32(1)
		for range 3 {
			for range 500 {
				p.send(request(id, "moody", "x"))
				p.wantAnswer(id, "x")
				id += 2
			}
			blocked := id
			p.send(request(blocked, "moody", "block"))
			wait(t, g.started, "the blocking call")
			for range 20 {
				id += 2
				p.wantUsable(id)
			}
			id += 2
			p.send(opening(id, "chat"), data(id, 1, "a"))
			p.want(data(id, 0, "a"))
			p.want(closing(id))
			g.release <- struct{}{}
			p.wantAnswer(blocked, "block")
			id += 2
		}
	}
}

// The connection ends, or the server, while a quick method blocks.
func TestQuickMethodBlocksAtTheEnd(t *testing.T) {
	for name, end := range map[string]func(r *rig, c *ttrpc.Client){
		"client closes": func(_ *rig, c *ttrpc.Client) { c.Close() },
		"server closes": func(r *rig, _ *ttrpc.Client) { r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			started, ended := make(chan struct{}), make(chan error, 1)
			r := serve(t, withMethod("moody", unary(func(ctx context.Context, in string) (string, error) {
				if in == "block" {
					close(started)
					<-ctx.Done()
					ended <- ctx.Err()
				}
				return in, nil
			})))
			c := r.client()
			for range 500 {
				_, err := call(bg, c, "moody", "x")
				check(t, err)
			}
			result := goCall(bg, c, "moody", "block")
			wait(t, started, "the handler's start")
			wantEcho(t, c)
			end(r, c)
			wantExactly(t, wait(t, ended, "the handler"), context.Canceled)
			wantExactly(t, wait(t, result, "the call"), ttrpc.ErrClosed)
			check(t, r.Shutdown(bg))
		})
	}
}
