//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// A call whose caller reads for others ends with its context,
// also while a slow consumer of another stream has the reader wait.
func TestContextOfACallerWhoReadsForSlowStreams(t *testing.T) {
	frozen(t, func(t *testing.T) { // so the stream never counts as stalled
		started := make(chan struct{})
		r := serve(t, withMethod("started", unary(func(ctx context.Context, _ string) (string, error) {
			started <- struct{}{}
			<-ctx.Done()
			return "", nil
		})))
		for range 3 {
			c := r.client(ttrpc.WithClientStreamBuffer(1500, 1<<20))
			for range 200 { // a rhythm, in which callers read for themselves
				wantEcho(t, c)
			}
			ctx, cancel := context.WithCancel(bg)
			result := goCall(ctx, c, "started", "")
			<-started
			streamCtx, endStream := context.WithCancel(bg)
			cs := open(t, streamCtx, c, down, "flood", text(""))
			_, err := recvText(cs) // and no more
			check(t, err)
			cancel()
			wantExactly(t, <-result, context.Canceled)
			endStream()
			check(t, c.Close())
		}
	})
}

// A handler in RecvMsg, who may be reading, ends with its deadline, and gets its messages, also
// while the client does not read answers.
func TestDeadlineOfAHandlerWhoReads(t *testing.T) {
	ended := make(chan error, 1)
	chatting := func(ctx context.Context, ss ttrpc.StreamServer) error {
		err := chat(ctx, ss)
		ended <- err
		return err
	}
	r := serve(t, withStream("chatting", bidi(chatting)), ttrpc.WithServerWriteBacklog(20000))
	for range 3 {
		p := r.raw()
		p.send(requestOf(1, 2, &ttrpc.Request{Service: svc, Method: "chatting", TimeoutNano: int64(500 * time.Millisecond)}))
		for range 200 { // a rhythm, in which the handler reads for itself
			p.send(data(1, 0, "x"))
			if f := p.recv(); !f.equal(data(1, 0, "x")) {
				equal(t, f.response(t).GetStatus().GetCode(), int32(codes.DeadlineExceeded)) // so soon
				break
			}
		}
		faults := strings.Repeat(string(rawFrame{id: 2, typ: 3}.bytes()), 4000)
		check(t, p.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
		for range 20 { // whose answers are more than the socket and the backlog hold
			if _, err := p.Write([]byte(faults)); err != nil {
				break
			}
		}
		err := wait(t, ended, "the handler's end")
		if status.Code(err) != codes.DeadlineExceeded && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		check(t, p.Close())
	}
}

// Who reads a client's connection changes with the pace of its calls, with contexts that end while
// their caller reads, with streams: no call is lost over it, and none waits for another's answer.
func TestRaceReaders(t *testing.T) {
	slow := unary(func(ctx context.Context, in string) (string, error) {
		d, err := time.ParseDuration(in)
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			err = ctx.Err()
		}
		return in, err
	})
	r := serve(t, withMethod("slow", slow))
	var clients sync.WaitGroup
	for seed := range uint64(8) {
		clients.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 0))
			c := r.client()
			for range 40 {
				raceReader(t, c, rnd)
			}
			check(t, c.Close())
			check(t, c.UserOnCloseWait(bg))
		})
	}
	clients.Wait()
}

func raceReader(t *testing.T, c *ttrpc.Client, rnd *rand.Rand) {
	some := func() time.Duration { return time.Duration(rnd.Int64N(int64(15 * time.Millisecond))) }
	var all sync.WaitGroup
	defer all.Wait()
	switch rnd.IntN(8) {
	case 0:
		timer := time.NewTimer(some()) // an idle time
		<-timer.C
	case 1: // a call that outlives its context, which its caller may be reading for
		ctx, cancel := context.WithTimeout(bg, some())
		defer cancel()
		_, err := call(ctx, c, "slow", "1h")
		if status.Code(err) != codes.DeadlineExceeded { // by the server, when its clock was first
			wantIs(t, err, context.DeadlineExceeded)
		}
	case 2: // the same by hand
		ctx, cancel := context.WithCancel(bg)
		timer := time.AfterFunc(some(), cancel)
		defer timer.Stop()
		_, err := call(ctx, c, "slow", "1h")
		wantIs(t, err, context.Canceled)
	case 3: // a slow call, and others beside it
		in := some().String()
		all.Go(func() {
			out, err := call(bg, c, "slow", in)
			if err != nil || out != in {
				t.Error(out, err)
			}
		})
		if rnd.IntN(2) == 0 {
			timer := time.NewTimer(some())
			<-timer.C
		}
		wantEcho(t, c)
	case 4:
		cs := open(t, bg, c, both, "chat", nil)
		for range rnd.IntN(30) {
			check(t, cs.SendMsg(text("x")))
			wantNext(t, cs, "x")
			if rnd.IntN(10) == 0 {
				wantEcho(t, c)
			}
		}
		check(t, cs.CloseSend())
		wantTexts(t, cs)
	case 5: // short streams
		for range rnd.IntN(100) {
			openAndClose(t, c, "chat")
			wantTexts(t, open(t, bg, c, down, "list", text("1")), "0")
			if rnd.IntN(20) == 0 {
				all.Go(func() { wantEcho(t, c) })
			}
		}
	}
	for range rnd.IntN(60) { // a rhythm
		wantEcho(t, c)
	}
}

// Whoever has answered a call reads on for a while: a request that comes in any of his reads is
// run, the last one included. Here it comes behind a number of frames that are nobody's, each so
// large that it takes a read of its own.
func TestRequestBehindOtherFrames(t *testing.T) {
	p := serve(t).raw()
	nobodys := rawFrame{id: 2, typ: 3, data: make([]byte, 10<<10)}
	id := uint32(1)
	for i := range 500 {
		others := i % 10
		burst := bytes.Repeat(nobodys.bytes(), others)
		burst = append(burst, request(id+40, "echo", "behind").bytes()...)
		for range 20 { // a rhythm, without frames that come many at once
			p.wantUsable(id)
			id += 2
		}
		_, err := p.Write(burst)
		check(t, err)
		answered := false
		for range others + 1 {
			f := p.recv()
			answered = answered || f.equal(answer(id, "behind"))
		}
		equal(t, answered, true)
		id += 2
	}
}

// The same for the messages of a stream, which the handler answers: whoever reads them,
// a call beside it is answered.
func TestRequestBehindMessages(t *testing.T) {
	p := serve(t).raw()
	p.send(opening(1, "chat"))
	id := uint32(3)
	for i := range 400 {
		p.wantUsable(id)
		for range i % 20 {
			p.send(data(1, 0, "x"))
			p.want(data(1, 0, "x"))
		}
		p.send(request(id+2, "echo", "beside"), data(1, 0, "y"))
		one, other := p.recv(), p.recv()
		if one.id == 1 {
			one, other = other, one
		}
		if !one.equal(answer(id+2, "beside")) || !other.equal(data(1, 0, "y")) {
			t.Fatal("not wanted:", one, other)
		}
		id += 4
	}
}
