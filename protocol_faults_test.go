//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
)

func TestP21OversizedDataIsResourceExhausted(t *testing.T) {
	f, _ := sized(1, 4<<20+1)
	stream := f
	stream.typ = 3
	text := "message length 4194305 exceed maximum message size of 4194304"
	serve(t).run(t,
		exchange{"request", frames(f), frames(refusal(1, codes.ResourceExhausted, text))},
		exchange{"data", frames(stream), frames(refusal(1, codes.ResourceExhausted, text))},
	)
}

// Data over the limit costs the stream that it was for: its handler's context ends, and nothing
// else comes.
func TestP21OversizedDataEndsItsStream(t *testing.T) {
	ended := make(chan error, 1)
	p := serve(t, ttrpc.WithServerMaxRecvMsgSize(100), withStream("watch", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
		<-ctx.Done()
		ended <- ss.SendMsg(text("too late"))
		return errors.New("unheard")
	}))).raw()
	p.send(opening(1, "watch"), rawFrame{id: 1, typ: 3, data: make([]byte, 101)})
	p.wantStatus(1, codes.ResourceExhausted, "message length 101 exceed maximum message size of 100")
	if wait(t, ended, "handler") == nil {
		t.Error("the handler could still send")
	}
	p.send(data(1, 0, "x"))
	p.wantStatus(1, codes.InvalidArgument, "StreamID is no longer active")
	p.wantUsable(3)
}

func TestP22RequestThatDoesNotParseIsInvalidArgument(t *testing.T) {
	r := serve(t)
	invalid := "unmarshal request error: " + parseError(t, []byte{0xff}).Error()
	badText := field(2, []byte{0xff})
	r.run(t,
		exchange{"wire format", frames(rawFrame{id: 1, typ: 1, data: []byte{0xff}}), frames(refusal(1, codes.InvalidArgument, invalid))},
		exchange{"UTF-8", frames(rawFrame{id: 1, typ: 1, data: badText}),
			frames(refusal(1, codes.InvalidArgument, "unmarshal request error: "+parseError(t, badText).Error()))},
	)
}

// parseError is what the protobuf module says of a Request.
func parseError(t *testing.T, b []byte) error {
	err := proto.Unmarshal(b, new(ttrpc.Request))
	if err == nil {
		t.Fatal("it parses")
	}
	return err
}

func TestP23EvenIdIsInvalidArgument(t *testing.T) {
	even := "StreamID must be odd for client initiated streams"
	r := serve(t)
	for _, id := range []uint32{0, 2, math.MaxUint32 - 1} {
		r.run(t,
			exchange{"request", frames(request(id, "echo", "x")), frames(refusal(id, codes.InvalidArgument, even))},
			exchange{"data", frames(data(id, 0, "x")), frames(refusal(id, codes.InvalidArgument, even))},
		)
	}
}

func TestP24IdsMustIncrease(t *testing.T) {
	reused := "StreamID cannot be re-used and must increment"
	p := serve(t).raw()
	p.wantUsable(5)
	p.wantUsable(3) // it was skipped, which is taken once
	for _, id := range []uint32{5, 3} {
		p.send(request(id, "echo", "x"))
		p.wantStatus(id, codes.InvalidArgument, reused)
	}
	p.wantUsable(7)
	// Also that of a call in flight, which goes on.
	p.send(opening(9, "chat"), request(9, "echo", "x"))
	p.wantStatus(9, codes.InvalidArgument, reused)
	p.send(data(9, 0, "a"), closing(9))
	p.want(data(9, 0, "a"))
	p.want(closing(9))
	p.wantUsable(11)
}

func TestP25DataForNoStreamIsInvalidArgument(t *testing.T) {
	gone := "StreamID is no longer active"
	r := serve(t)
	r.run(t,
		exchange{"never opened", frames(data(7, 0, "x"), closing(9)),
			frames(refusal(7, codes.InvalidArgument, gone), refusal(9, codes.InvalidArgument, gone))},
	)
	p := r.raw()
	p.wantUsable(1)
	p.send(data(1, 0, "x"))
	p.wantStatus(1, codes.InvalidArgument, gone)
	p.send(opening(3, "chat"), closing(3))
	p.want(closing(3))
	p.send(data(3, 1, "x"))
	p.wantStatus(3, codes.InvalidArgument, gone)
	p.wantUsable(5)
}

func TestP26UnknownServiceIsUnimplemented(t *testing.T) {
	serve(t).run(t, exchange{"none", frames(requestOf(1, 0, &ttrpc.Request{Service: "none", Method: "echo"})),
		frames(refusal(1, codes.Unimplemented, "service none"))})
}

func TestP27UnknownMethodIsUnimplemented(t *testing.T) {
	serve(t).run(t, exchange{"none", frames(request(1, "none", "")), frames(refusal(1, codes.Unimplemented, "method none"))})
}

func TestP28PayloadThatDoesNotParseIsInternal(t *testing.T) {
	bad := []byte{0xff}
	invalid := "ttrpc: error unmarshalling payload: " + parseError(t, bad).Error()
	r := serve(t)
	for _, method := range []string{"echo", "list", "chat"} {
		r.run(t, exchange{method, frames(requestOf(1, 0, &ttrpc.Request{Service: svc, Method: method, Payload: bad})),
			frames(refusal(1, codes.Internal, invalid))})
	}
	r.run(t, exchange{"data", frames(opening(1, "chat"), rawFrame{id: 1, typ: 3, data: bad}), frames(refusal(1, codes.Internal, invalid))})
}

func TestP29DataOnUnaryStreamIsInvalidArgument(t *testing.T) {
	g := newGate()
	p := serve(t, withMethod("gated", g.unary())).raw()
	for id, flags := range map[uint32]byte{1: 0, 3: 1, 5: 5} {
		p = serve(t, withMethod("gated", g.unary())).raw()
		p.send(request(id, "gated", "x"))
		wait(t, g.started, "call")
		p.send(rawFrame{id: id, typ: 3, flags: flags})
		p.wantStatus(id, codes.InvalidArgument, "data handling error: not a streaming call")
		p.wantUsable(id + 2)
	}
	g.open() // what the handler returns goes nowhere
	p.wantUsable(101)
}

func TestP30ReplyOverTheLimitCostsItsCallAlone(t *testing.T) {
	large := strings.Repeat("x", 1000)
	r := serve(t, ttrpc.WithServerMaxSendMsgSize(500),
		withStream("large",
			ttrpc.Stream{StreamingClient: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return text(large), nil }}),
		withStream("largeData", downStream(func(_ context.Context, ss ttrpc.StreamServer) error { return ss.SendMsg(text(large)) })),
		withStream("largeLast",
			ttrpc.Stream{StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return text(large), nil }}))
	too := func(n int) string { return fmt.Sprintf("message length %d exceed maximum message size of 500", n) }
	r.run(t,
		exchange{"unary", frames(request(1, "echo", large)), frames(refusal(1, codes.ResourceExhausted, too(1006)))},
		exchange{"client stream", frames(opening(1, "large")), frames(refusal(1, codes.ResourceExhausted, too(1006)))},
		exchange{"last of a stream", frames(opening(1, "largeLast")), frames(refusal(1, codes.ResourceExhausted, too(1003)))},
	)
	c := r.client()
	_, err := call(bg, c, "echo", large)
	wantStatus(t, err, codes.ResourceExhausted, too(1006))
	cs := open(t, bg, c, down, "largeData", text(""))
	_, err = recvText(cs)
	equal(t, status.Code(err), codes.ResourceExhausted)
	wantEcho(t, c)
	t.Run("default", func(t *testing.T) {
		c := serve(t, withMethod("large",
			unary(func(context.Context, string) (string, error) { return strings.Repeat("x", 5<<20), nil }))).client()
		_, err := call(bg, c, "large", "")
		wantStatus(t, err, codes.ResourceExhausted, "message length 5242890 exceed maximum message size of 4194304")
		wantEcho(t, c)
	})
}

// A peer sends faults and does not read: it is not read either, and nobody else notices.
func TestP31UnreadAnswersToFaultsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"), ttrpc.WithServerWriteBacklog(1000))
		p := r.raw()
		const faults = 1000
		sent := make(chan int, faults)
		go func() {
			for i := range faults {
				p.send(request(0, "echo", "x"))
				sent <- i
			}
		}()
		synctest.Wait()
		if n := len(sent); n > 100 {
			t.Errorf("%d faults were read while no answer was", n)
		}
		wantEcho(t, r.client())
		for range faults {
			p.wantStatus(0, codes.InvalidArgument, "StreamID must be odd for client initiated streams")
		}
		p.wantUsable(1)
	})
}

func TestP55EveryRequestReadUsesItsId(t *testing.T) {
	reused := "StreamID cannot be re-used and must increment"
	p := serve(t, ttrpc.WithServerMaxRecvMsgSize(1000)).raw()
	for i, f := range []rawFrame{
		{typ: 1, data: []byte{0xff}}, request(0, "none", "x"), requestOf(0, 0, &ttrpc.Request{Service: "none"}), request(0, "fail", "x"),
	} {
		f.id = uint32(10*i + 1)
		p.send(f)
		p.recvResponse()
		p.send(request(f.id, "echo", "x"))
		p.wantStatus(f.id, codes.InvalidArgument, reused)
	}
	p.send(rawFrame{id: 101, typ: 1, data: make([]byte, 1001)}, request(1000, "echo", "x"), data(201, 0, "x"))
	for range 3 {
		p.recvResponse()
	}
	p.wantUsable(101) // neither of those has used up its id
}
