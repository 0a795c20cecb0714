//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

func TestP32EmptyDataIsAMessageUnlessFlagged(t *testing.T) {
	r := serve(t)
	empty := func(flags byte) rawFrame { return rawFrame{id: 1, typ: 3, flags: flags} }
	r.run(t,
		exchange{"empty", frames(opening(1, "chat"), empty(0), data(1, 0, "a"), empty(5)), frames(empty(0), data(1, 0, "a"), closing(1))},
		exchange{"empty in the end", frames(opening(1, "chat"), empty(1)), frames(empty(0), closing(1))},
		exchange{"text in the end", frames(opening(1, "chat"), data(1, 1, "a")), frames(data(1, 0, "a"), closing(1))},
		exchange{"no data", frames(opening(1, "chat"), empty(4), data(1, 4, "a"), data(1, 5, "a")), frames(closing(1))},
		exchange{"joined", frames(opening(1, "join"), empty(0), empty(0), empty(4), data(1, 0, "a"), empty(1)), frames(answer(1, "[][][a][]"))},
	)
	c, p := rawServer(t, "unix")
	cs := open(t, bg, c, both, "chat", nil)
	f := p.recv()
	check(t, cs.SendMsg(text("")))
	check(t, cs.SendMsg(nil))
	check(t, cs.SendMsg(text("a")))
	check(t, cs.CloseSend())
	p.want(empty(0))
	p.want(empty(0))
	p.want(data(f.id, 0, "a"))
	p.want(closing(f.id))
	p.send(empty(0), empty(4), data(1, 4, "no"), data(1, 0, "a"), data(1, 1, ""))
	wantTexts(t, cs, "", "a", "")
	cs = open(t, bg, c, both, "chat", nil)
	p.send(data(3, 5, "no"))
	wantTexts(t, cs)
}

func TestP33ServersStreamEndsInData(t *testing.T) {
	last := func(context.Context, ttrpc.StreamServer) (any, error) { return text("last"), nil }
	none := func(context.Context, ttrpc.StreamServer) (any, error) { return nil, nil }
	typedNil := func(context.Context, ttrpc.StreamServer) (any, error) { return (*message)(nil), nil }
	r := serve(t, &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
		"down-last": {StreamingServer: true, Handler: last}, "down-none": {StreamingServer: true, Handler: none},
		"down-typed-nil": {StreamingServer: true, Handler: typedNil},
		"both-last":      {StreamingServer: true, StreamingClient: true, Handler: last},
		"both-none":      {StreamingServer: true, StreamingClient: true, Handler: none},
		"up-last":        {StreamingClient: true, Handler: last}, "up-none": {StreamingClient: true, Handler: none},
		"plain-last": {Handler: last},
	}})
	for method, want := range map[string]rawFrame{
		"down-last": data(1, 1, "last"), "down-none": closing(1), "down-typed-nil": closing(1),
		"both-last": data(1, 1, "last"), "both-none": closing(1),
		"up-last": answer(1, "last"), "up-none": {id: 1, typ: 2}, "plain-last": answer(1, "last"),
	} {
		r.run(t, exchange{method, frames(opening(1, method)), frames(want)})
	}
}

func TestP34FailureFollowsWhatWasSent(t *testing.T) {
	fails := ttrpc.Stream{StreamingServer: true, StreamingClient: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
		for _, s := range []string{"a", "b"} {
			if err := ss.SendMsg(text(s)); err != nil {
				return nil, err
			}
		}
		return text("unheard"), status.Error(codes.Aborted, "oh")
	}}
	r := serve(t, withStream("fails", fails))
	r.run(t, exchange{"frames", frames(opening(1, "fails")), frames(data(1, 0, "a"), data(1, 0, "b"), refusal(1, codes.Aborted, "oh"))})

	c, p := rawServer(t, "unix")
	cs := open(t, bg, c, both, "fails", nil)
	p.recv()
	p.send(data(1, 0, "a"), data(1, 0, "b"), refusal(1, codes.Aborted, "oh"))
	wantNext(t, cs, "a", "b")
	for range 2 {
		_, err := recvText(cs)
		wantStatus(t, err, codes.Aborted, "oh")
	}
}

func TestP35DataAfterTheEndIsRefused(t *testing.T) {
	g := newGate()
	started := make(chan context.Context, 1)
	p := serve(t, withStream("watch", bidi(func(ctx context.Context, _ ttrpc.StreamServer) error {
		started <- ctx
		<-g.release
		return errors.New("unheard")
	}))).raw()
	p.send(opening(1, "watch"), closing(1))
	ctx := wait(t, started, "handler")
	p.send(data(1, 0, "x"))
	p.wantStatus(1, codes.InvalidArgument, "data handling error: ttrpc: stream closed")
	wait(t, ctx.Done(), "the handler's context")
	g.open()
	p.wantUsable(3)

	c, p := rawServer(t, "unix")
	cs := open(t, bg, c, both, "chat", nil)
	check(t, cs.CloseSend())
	wantExactly(t, cs.SendMsg(text("x")), ttrpc.ErrStreamClosed)
	wantExactly(t, cs.CloseSend(), ttrpc.ErrStreamClosed)
	p.recv()
	p.want(closing(1))
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, 3) // and nothing in between
}

func TestP36NothingAfterTheFinalFrame(t *testing.T) {
	for name, final := range map[string]rawFrame{
		"end": closing(1), "last message": data(1, 1, "x"), "answer": answer(1, "x"), "status": refusal(1, codes.Aborted, "oh"),
	} {
		t.Run(name, func(t *testing.T) {
			c, p := rawServer(t, "unix")
			cs := open(t, bg, c, both, "chat", nil)
			p.recv()
			result := goCall(bg, c, "echo", "x")
			p.recv()
			p.send(final, answer(3, "x"))
			check(t, wait(t, result, "call")) // the final frame has been seen
			wantExactly(t, cs.SendMsg(text("x")), ttrpc.ErrStreamClosed)
			check(t, cs.CloseSend())
			goCall(bg, c, "echo", "x")
			equal(t, p.recv().id, 5)
		})
	}
}

func TestP37FramesAfterTheFinalOneAreDropped(t *testing.T) {
	var log logBuffer
	c, p := rawServer(t, "unix", ttrpc.WithClientLogger(log.logger()))
	cs := open(t, bg, c, both, "chat", nil)
	p.recv()
	p.send(data(1, 1, "a"), data(1, 0, "b"), refusal(1, codes.Aborted, "oh"), answer(1, "c"), closing(1))
	wantTexts(t, cs, "a")
	result := goCall(bg, c, "echo", "x")
	p.recv()
	p.send(answer(3, "x"))
	check(t, wait(t, result, "call"))
	wantTexts(t, cs)
	equal(t, log.String(), "")
}
