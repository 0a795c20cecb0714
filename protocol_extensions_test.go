//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// The frames of the extensions, by hand.

func hello(id uint32) rawFrame  { return rawFrame{id: id, typ: 0x40} }
func cancel(id uint32) rawFrame { return rawFrame{id: id, typ: 0x41} }

// marked is a frame with the flag of a server that knows extensions.
func marked(f rawFrame) rawFrame { f.flags |= 0x80; return f }

// known is a client that knows its server, and has said so.
func known(t testing.TB, opts ...ttrpc.ClientOpts) (*ttrpc.Client, *rawPeer) {
	t.Helper()
	c, p := rawServer(t, "unix", opts...)
	for i := range 2 {
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		if i == 1 {
			p.want(hello(f.id))
		}
		p.send(marked(answer(f.id, "x")))
		check(t, wait(t, result, "call"))
	}
	return c, p
}

// greeted is a connection to a server whose client has said Hello. The next id is 3.
func (r *rig) greeted() *rawPeer {
	r.t.Helper()
	p := r.raw()
	p.send(request(1, "echo", "x"), hello(1))
	p.wantAnswer(1, "x")
	return p
}

func TestP56OddExtensionFramesAreIgnored(t *testing.T) {
	long := make([]byte, 100)
	t.Run("by a server", func(t *testing.T) {
		r := serve(t)
		for name, frames := range map[string][]rawFrame{
			"no such call": {cancel(7), {id: 7, typ: 0x42, data: long[:8]}, hello(99)},
			"short":        {{id: 1, typ: 0x42, data: long[:7]}, {id: 1, typ: 0x42}},
			"long":         {{id: 7, typ: 0x41, data: long}, {id: 9, typ: 0x40, data: long}, {id: 7, typ: 0x42, data: long}},
			"wrong side":   {{id: 1, typ: 0x43, data: long[:4]}, {id: 1, typ: 5, data: long[:8]}},
			"flags":        {{id: 7, typ: 0x41, flags: 0xff}, {id: 7, typ: 0x40, flags: 0xff}},
			"other types":  {{id: 1, typ: 0x3f}, {id: 1, typ: 0x44}, {id: 1, typ: 0xff}},
			"again":        {hello(1), hello(1), hello(3)},
		} {
			t.Run(name, func(t *testing.T) {
				p := r.greeted()
				p.send(frames...)
				p.wantUsable(11)
			})
		}
	})
	t.Run("by a client", func(t *testing.T) {
		c, p := known(t)
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		p.send(cancel(f.id), hello(f.id), rawFrame{id: f.id, typ: 0x42, data: long[:7]},
			rawFrame{id: f.id, typ: 0x42, data: long}, rawFrame{typ: 0x43, data: long[:3]},
			rawFrame{id: f.id, typ: 0x43, data: long}, rawFrame{id: f.id, typ: 5, data: long}, answer(f.id, "x"))
		check(t, wait(t, result, "call"))
	})
}

// An even id and an excessive length are looked at first, as for all frames.
func TestP56FaultsOfExtensionFrames(t *testing.T) {
	p := serve(t).greeted()
	for _, typ := range []byte{4, 0x40, 0x41, 0x42} {
		p.send(rawFrame{id: 2, typ: typ})
		p.wantStatus(2, codes.InvalidArgument, "StreamID must be odd for client initiated streams")
	}
	p.send(rawFrame{id: 5, typ: 0x41, data: make([]byte, 4<<20+1)})
	p.wantStatus(5, codes.ResourceExhausted, "message length 4194305 exceed maximum message size of 4194304")
	p.wantUsable(7)
}

func TestP57FirstAnswerTellsOfTheExtensions(t *testing.T) {
	r := serve(t)
	for name, first := range map[string][]rawFrame{
		"Response": {request(1, "echo", "x")},
		"status":   {request(1, "fail", "x")},
		"fault":    {{id: 2, typ: 1}},
		"Data":     {opening(1, "chat"), data(1, 0, "x")},
		"end":      {opening(1, "chat"), closing(1)},
		"refusal":  {requestOf(1, 0, &ttrpc.Request{Service: "none"})},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.raw()
			p.send(first...)
			p.recv()
			equal(t, p.extensions, true)
			p.wantUsable(3) // whose answer has no flags
		})
	}
}

// No byte reaches a server that has not said that it knows them.
func TestP57NothingForAServerThatIsNotKnown(t *testing.T) {
	c, p := rawServer(t, "unix")
	ctx, cancel := context.WithCancel(bg)
	result := goCall(ctx, c, "echo", "x")
	p.recvRequest()
	cancel()
	wantExactly(t, wait(t, result, "call"), context.Canceled)
	for range 3 {
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		p.send(rawFrame{typ: 0x43, data: make([]byte, 4)}, rawFrame{id: 1, typ: 4}, answer(f.id, "x"))
		check(t, wait(t, result, "call"))
	}
}

func TestP58HelloComesOnceBehindTheNextFrame(t *testing.T) {
	t.Run("Request", func(t *testing.T) {
		c, p := known(t) // which has seen it
		for range 3 {
			result := goCall(bg, c, "echo", "x")
			f, _ := p.recvRequest()
			p.send(marked(answer(f.id, "x")))
			check(t, wait(t, result, "call"))
		}
	})
	t.Run("Data", func(t *testing.T) {
		c, p := rawServer(t, "unix")
		cs := open(t, bg, c, both, "chat", nil)
		p.recv()
		p.send(marked(data(1, 0, "x")))
		wantNext(t, cs, "x")
		check(t, cs.SendMsg(text("y")))
		p.want(data(1, 0, "y"))
		p.want(hello(1))
		check(t, cs.CloseSend())
		p.want(closing(1))
	})
}

// Before a Hello a server says nothing of its own, whatever it shuts down or is pinged with.
func TestP58NothingForAClientThatIsNotKnown(t *testing.T) {
	r := serve(t, ttrpc.WithServerKeepalive(time.Millisecond, time.Minute))
	p := r.raw()
	p.send(request(1, "echo", "x"))
	p.wantAnswer(1, "x")
	p.send(request(3, "hold", "x"), request(5, "echo", "x"))
	p.wantAnswer(5, "x")
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(bg) }()
	<-r.Done()
	p.send(cancel(3)) // which it takes of any client
	p.wantEnd()
	check(t, wait(t, done, "Shutdown"))
}

func TestP59ExtensionsOff(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		p := serve(t, ttrpc.WithServerExtensions(false)).raw()
		p.send(request(1, "hold", "x"), hello(1), cancel(1), rawFrame{id: 1, typ: 4})
		p.wantUsable(3)
		equal(t, p.extensions, false)
	})
	t.Run("client", func(t *testing.T) {
		c, p := rawServer(t, "unix", ttrpc.WithClientExtensions(ttrpc.ExtensionsOff))
		for range 3 {
			ctx, cancel := context.WithCancel(bg)
			given := goCall(ctx, c, "echo", "x")
			p.recvRequest()
			cancel()
			wantExactly(t, wait(t, given, "call"), context.Canceled)
			result := goCall(bg, c, "echo", "x")
			f, _ := p.recvRequest()
			p.send(marked(answer(f.id, "x")))
			check(t, wait(t, result, "call"))
		}
	})
	t.Run("assumed", func(t *testing.T) {
		c, p := rawServer(t, "unix", ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed))
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		p.want(hello(f.id))
		p.send(answer(f.id, "x"))
		check(t, wait(t, result, "call"))
	})
}

func TestP60CancelIsTheLastFrameOfACall(t *testing.T) {
	t.Run("unary", func(t *testing.T) {
		c, p := known(t)
		ctx, stop := context.WithCancel(bg)
		result := goCall(ctx, c, "echo", "x")
		f, _ := p.recvRequest()
		stop()
		p.want(cancel(f.id))
		wantExactly(t, wait(t, result, "call"), context.Canceled)
		p.send(answer(f.id, "late"))
		wantAnswered(t, c, p)
	})
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := rawServer(t, "pipe", ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed))
			ctx, stop := context.WithTimeout(bg, 10*time.Millisecond)
			defer stop()
			result := goCall(ctx, c, "echo", "x")
			f, _ := p.recvRequest()
			p.want(hello(f.id))
			p.want(rawFrame{id: f.id, typ: 0x41, flags: 1})
			wantExactly(t, <-result, context.DeadlineExceeded)
		})
	})
	t.Run("stream", func(t *testing.T) {
		c, p := known(t)
		ctx, stop := context.WithCancel(bg)
		cs := open(t, ctx, c, both, "chat", nil)
		f, _ := p.recvRequest()
		stop()
		p.want(cancel(f.id))
		wantExactly(t, cs.SendMsg(text("x")), context.Canceled)
		_ = cs.CloseSend()
		wantAnswered(t, c, p) // and no frame of the stream before
	})
	t.Run("not what has ended", func(t *testing.T) {
		c, p := known(t)
		ctx, stop := context.WithCancel(bg)
		timed, stopTimed := context.WithTimeout(ctx, time.Hour)
		defer stopTimed()
		for _, ctx := range []context.Context{ctx, timed} {
			result := goCall(ctx, c, "echo", "x")
			f, _ := p.recvRequest()
			p.send(answer(f.id, "x"))
			check(t, wait(t, result, "call"))
			result = goCall(ctx, c, "echo", "x")
			f, _ = p.recvRequest()
			p.send(refusal(f.id, codes.DeadlineExceeded, "by the server's clock"))
			wantStatus(t, wait(t, result, "call"), codes.DeadlineExceeded, "by the server's clock")
			for _, last := range []rawFrame{{typ: 3, flags: 5}, refusal(0, codes.Aborted, "aborted"), answer(0, "x")} {
				cs := open(t, ctx, c, both, "chat", nil)
				f, _ = p.recvRequest()
				last.id = f.id
				p.send(last)
				_, _ = recvText(cs)
				unread := open(t, ctx, c, both, "chat", nil) // whose user does not look at its end
				f, _ = p.recvRequest()
				last.id = f.id
				p.send(data(f.id, 0, "x"), last)
				_ = unread
			}
		}
		wantAnswered(t, c, p) // so the last end has been read
		stop()
		wantAnswered(t, c, p)
	})
}

// wantAnswered makes a call whose Request is the next frame.
func wantAnswered(t testing.TB, c *ttrpc.Client, p *rawPeer) {
	t.Helper()
	result := goCall(bg, c, "echo", "x")
	f, _ := p.recvRequest()
	p.send(answer(f.id, "x"))
	check(t, wait(t, result, "call"))
}

// What was given up before the server was known is cancelled once it is.
func TestP60CancelComesLater(t *testing.T) {
	c, p := rawServer(t, "unix")
	for i := range 70 {
		ctx, stop := context.WithCancel(bg)
		result := goCall(ctx, c, "echo", "x")
		f, _ := p.recvRequest()
		equal(t, f.id, uint32(2*i+1))
		stop()
		wantExactly(t, wait(t, result, "call"), context.Canceled)
	}
	result := goCall(bg, c, "echo", "x")
	f, _ := p.recvRequest()
	p.send(marked(answer(f.id, "x")))
	check(t, wait(t, result, "call"))
	for i := range 64 {
		p.want(cancel(uint32(2*i + 1)))
	}
}

// waiters has handlers that wait in one way each, and tell of their ends.
func waiters(ended chan error) *ttrpc.ServiceDesc {
	tell := func(err error) error { ended <- err; return err }
	endless := func(ctx context.Context, ss ttrpc.StreamServer) error {
		for {
			if err := ss.SendMsg(text(string(make([]byte, 1000)))); err != nil {
				return tell(err)
			}
		}
	}
	return &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"wait": unary(func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", tell(ctx.Err()) }),
			"derived": unary(func(ctx context.Context, _ string) (string, error) {
				ctx, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				<-ctx.Done()
				return "", tell(ctx.Err())
			}),
		},
		Streams: map[string]ttrpc.Stream{
			"waits":    bidi(func(ctx context.Context, _ ttrpc.StreamServer) error { <-ctx.Done(); return tell(ctx.Err()) }),
			"receives": bidi(func(_ context.Context, ss ttrpc.StreamServer) error { return tell(ss.RecvMsg(new(message))) }),
			"sends":    bidi(endless),
		},
	}
}

func TestP61CancelReachesTheHandler(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		for _, method := range []string{"wait", "derived", "waits", "receives", "sends"} {
			for flags, want := range map[byte]error{0: context.Canceled, 1: context.DeadlineExceeded} {
				t.Run(fmt.Sprint(method, " ", timeout, " ", flags), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						ended := make(chan error, 1)
						p := newRawPeer(t, pipeTo(t, onPipe(t, waiters(ended))))
						start := time.Now()
						p.send(requestOf(1, 0, &ttrpc.Request{Service: svc, Method: method, TimeoutNano: int64(timeout)}))
						if method == "sends" { // until it waits, for the peer reads nothing
							synctest.Wait()
						}
						p.send(rawFrame{id: 1, typ: 0x41, flags: flags})
						if timeout == 0 {
							want = context.Canceled
						}
						wantExactly(t, <-ended, want)
						equal(t, time.Since(start), 0)
						if method != "sends" {
							p.wantUsable(3) // and there is no answer
						}
					})
				})
			}
		}
	}
}

// A Cancel that crosses the answer is nothing, and none is taken for another's.
func TestP61CancelCrossesTheAnswer(t *testing.T) {
	p := serve(t).greeted()
	for id := uint32(3); id < 2000; id += 4 {
		p.send(request(id, "echo", "x"), cancel(id), request(id+2, "echo", "y"))
		if f := p.recv(); f.id == id {
			equal(t, f.equal(answer(id, "x")), true)
			p.wantAnswer(id+2, "y")
		} else {
			equal(t, f.equal(answer(id+2, "y")), true)
		}
	}
}

func TestP62CancelledCallsCountUntilTheirHandlersReturn(t *testing.T) {
	release := make(chan struct{})
	r := serve(t, ttrpc.WithServerMaxCalls(10), withMethod("stubborn", unary(func(context.Context, string) (string, error) {
		<-release
		return "", nil
	})))
	p := r.greeted()
	id := uint32(3)
	for range 10 {
		p.send(request(id, "stubborn", "x"), cancel(id))
		id += 2
	}
	for range 100 {
		p.send(request(id, "stubborn", "x"))
		p.wantStatus(id, codes.ResourceExhausted, "ttrpc: more than 10 calls in flight")
		id += 2
	}
	close(release)
	for { // the handlers return some time
		p.send(request(id, "echo", "x"))
		f, resp := p.recvResponse()
		equal(t, f.id, id)
		id += 2
		if resp.Status == nil {
			return
		}
	}
}

// The context of a unary call without a deadline outlives its method, cancelled or not, as without
// the extensions, and ends with the connection.
func TestP61ContextOutlivesTheMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		contexts := make(chan context.Context, 4)
		asked := make(chan (<-chan struct{}), 4)
		r := onPipe(t, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"leave": unary(func(ctx context.Context, _ string) (string, error) { contexts <- ctx; return "", nil }),
			"ask": unary(func(ctx context.Context, _ string) (string, error) {
				asked <- ctx.Done()
				contexts <- ctx
				return "", nil
			}),
		}})
		p := newRawPeer(t, pipeTo(t, r))
		var all []context.Context
		var done []<-chan struct{}
		for id := uint32(1); id < 101; id += 4 {
			p.send(request(id, "leave", ""), request(id+2, "ask", ""))
			p.recv()
			p.recv()
			all = append(all, <-contexts, <-contexts)
			done = append(done, <-asked)
			p.send(cancel(id), cancel(id+2))
		}
		p.wantUsable(101)
		for _, ctx := range all {
			check(t, ctx.Err())
		}
		p.Close()
		for _, ctx := range all {
			<-ctx.Done()
			wantExactly(t, ctx.Err(), context.Canceled)
		}
		for _, end := range done {
			<-end
		}
	})
}

// What a connection keeps for goroutines that may wait for such an end is bounded.
func TestP61ContextsThatAreKeptAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		contexts := make(chan context.Context, 4)
		r := onPipe(t, withMethod("ask", unary(func(ctx context.Context, _ string) (string, error) {
			ctx.Done()
			contexts <- ctx
			return "", nil
		})))
		p := newRawPeer(t, pipeTo(t, r))
		var all []context.Context
		for id := uint32(1); id < 1001; id += 2 {
			p.send(request(id, "ask", ""))
			p.recv()
			all = append(all, <-contexts)
		}
		synctest.Wait()
		ended := 0
		for _, ctx := range all {
			if ctx.Err() != nil {
				ended++
			}
		}
		equal(t, ended, 500-256)
		check(t, all[499].Err())
	})
}

// Nothing but the one flag differs on the wire of a peer that knows none of this.
func TestP57WireOfAnOldPeer(t *testing.T) {
	script := func(opts ...any) (got []rawFrame) {
		p := serve(t, opts...).raw()
		p.send(request(1, "echo", "x"), request(3, "fail", "x"), opening(5, "chat"), data(5, 0, "a"), closing(5), rawFrame{id: 2, typ: 9})
		for len(got) < 5 {
			got = append(got, p.recv())
		}
		return got
	}
	with, without := script(), script(ttrpc.WithServerExtensions(false))
	for _, f := range without {
		if !contains(with, f) {
			t.Errorf("%v is missing among %v", f, with)
		}
	}
}

func contains(frames []rawFrame, f rawFrame) bool {
	for _, g := range frames {
		if f.equal(g) {
			return true
		}
	}
	return false
}
