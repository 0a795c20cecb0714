//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

const (
	// quickCalls are made one after the other: the two sides find out that they follow each other.
	quickCalls = 400
	// moodRounds is how often a test has a stream begin: a worker reads some of the requests.
	moodRounds = 20
)

// moodRig tries what handlers of streams do that have always been quick, with other calls beside
// them on the same connection. Its stream "moody" echoes what it receives; told to, it does
// something else.
type moodRig struct {
	*rig
	*rawPeer
	t    *testing.T
	mood func(ctx context.Context, ss ttrpc.StreamServer) error
	id   uint32 // of the last call
}

func newMoodRig(t *testing.T, mood func(ctx context.Context, ss ttrpc.StreamServer) error, opts ...any) *moodRig {
	b := &moodRig{t: t, mood: mood, id: 1}
	b.rig = serve(t, append(opts, withStream("moody", bidi(b.moody)))...)
	b.rawPeer = b.raw()
	return b
}

func (b *moodRig) moody(ctx context.Context, ss ttrpc.StreamServer) error {
	in, err := recvText(ss)
	if err != nil {
		return err
	}
	if err := ss.SendMsg(text(in)); err != nil {
		return err
	}
	if in == "mood" {
		return b.mood(ctx, ss)
	}
	return chat(ctx, ss)
}

// quick makes calls one after the other: a rhythm,
// in which whoever has answered reads the next request.
func (b *moodRig) quick() {
	b.t.Helper()
	for range quickCalls / moodRounds {
		b.id += 2
		b.wantUsable(b.id)
	}
}

// start begins a stream in the mood.
func (b *moodRig) start(timeout time.Duration) {
	b.t.Helper()
	for {
		b.quick()
		b.id += 2
		if timeout == 0 {
			b.send(opening(b.id, "moody"))
			b.send(data(b.id, 0, "mood"))
		} else { // Data might come after the deadline, which is answered once more
			req := &ttrpc.Request{Service: svc, Method: "moody", TimeoutNano: int64(timeout), Payload: encode(text("mood"))}
			b.send(requestOf(b.id, 2, req))
		}
		f := b.recv()
		if f.equal(data(b.id, 0, "mood")) {
			return
		}
		if timeout == 0 { // else it may have come after its deadline
			b.t.Fatal("not wanted:", f)
		}
		equal(b.t, f.response(b.t).GetStatus().GetCode(), int32(codes.DeadlineExceeded))
	}
}

// usable makes calls beside the mood.
func (b *moodRig) usable() {
	b.t.Helper()
	for range 3 {
		b.id += 2
		b.wantUsable(b.id)
	}
}

// A handler that waits for messages gets them, and calls beside it are answered.
func TestStreamHandlerWaitsForMessages(t *testing.T) {
	b := newMoodRig(t, chat)
	for i := range 2 * moodRounds {
		b.start(0)
		id := b.id
		if i&1 != 0 {
			elapse(3 * time.Millisecond) // whoever has read for itself has given up by now
		}
		if i&2 != 0 {
			b.usable()
		}
		for range 20 {
			b.send(data(id, 0, "y"))
			b.want(data(id, 0, "y"))
		}
		if i&4 != 0 {
			b.id += 2
			b.send(data(id, 0, "z"), request(b.id, "echo", "beside"))
			one, other := b.recv(), b.recv()
			if one.typ == 2 {
				one, other = other, one
			}
			if !one.equal(data(id, 0, "z")) || !other.equal(answer(b.id, "beside")) {
				t.Error(one, other)
			}
		}
		b.send(closing(id))
		b.want(closing(id))
	}
}

// One that blocks, before or after it has received more, holds nobody up.
func TestStreamHandlerThatBlocks(t *testing.T) {
	for _, receives := range []int{0, 1, 2} {
		g := newGate()
		b := newMoodRig(t, func(_ context.Context, ss ttrpc.StreamServer) error {
			for range receives {
				if _, err := recvText(ss); err != nil {
					return err
				}
			}
			g.pass("")
			return nil
		})
		for range moodRounds {
			b.start(0)
			id := b.id
			for range receives {
				b.send(data(id, 0, "y"))
			}
			wait(t, g.started, "the handler")
			b.usable()
			g.release <- struct{}{}
			b.want(closing(id))
		}
	}
}

// Requests that were read together with a stream's opening are not lost, also when its handler
// can't send: here since the peer reads nothing, until the stream's deadline.
func TestStreamHandlerKeepsWhatWasRead(t *testing.T) {
	large := text(strings.Repeat("b", 1500<<10)) // more than a socket holds
	ended := make(chan error, 5)                 // one a round
	b := newMoodRig(t, func(_ context.Context, ss ttrpc.StreamServer) error {
		err := ss.SendMsg(large)
		if err == nil {
			_, err = recvText(ss)
		}
		ended <- err
		return err
	}, ttrpc.WithServerWriteBacklog(20000))
	for range 5 {
		b.quick()
		b.id += 2
		id := b.id
		frames := []rawFrame{requestOf(id, 2, &ttrpc.Request{
			Service: svc, Method: "moody", TimeoutNano: int64(200 * time.Millisecond), Payload: encode(text("mood")),
		})}
		missing := map[uint32]bool{}
		for range 5 {
			b.id += 2
			frames = append(frames, request(b.id, "echo", "beside"))
			missing[b.id] = true
		}
		b.send(frames...)
		f := b.recv()
		if f.equal(data(id, 0, "mood")) { // else it came after its deadline
			wait(t, ended, "the stream's deadline")
		}
		for ends := false; ; f = b.recv() {
			switch {
			case f.id == id: // what the stream has sent
				ends = ends || f.typ == 2
			case !f.equal(answer(f.id, "beside")):
				t.Fatal("not wanted:", f)
			}
			if delete(missing, f.id); ends && len(missing) == 0 {
				break
			}
		}
	}
}

// One whose messages the peer does not take holds nobody up.
func TestStreamHandlerSendsInVain(t *testing.T) {
	g := newGate()
	sent := make(chan struct{}, 1000)
	b := newMoodRig(t, func(_ context.Context, ss ttrpc.StreamServer) error {
		for range 1000 {
			if err := ss.SendMsg(text(strings.Repeat("b", 1000))); err != nil {
				return err
			}
			sent <- struct{}{}
		}
		return nil
	}, ttrpc.WithServerWriteBacklog(20000), withMethod("gate", g.unary()))
	for range moodRounds {
		b.start(0)
		id := b.id
		for range 20 {
			wait(t, sent, "a message")
		}
		b.id += 2
		b.send(request(b.id, "gate", "beside"))
		wait(t, g.started, "a call beside it")
		g.release <- struct{}{}
		for ends := 0; ends < 2; {
			if f := b.recv(); f.equal(closing(id)) || f.equal(answer(b.id, "beside")) {
				ends++
			}
		}
		for len(sent) > 0 {
			<-sent
		}
	}
}

// Another goroutine than the handler's may receive.
func TestStreamHandlerReceivesElsewhere(t *testing.T) {
	b := newMoodRig(t, func(_ context.Context, ss ttrpc.StreamServer) error {
		got := make(chan error)
		go func() {
			_, err := recvText(ss)
			got <- err
		}()
		return <-got
	})
	for i := range moodRounds {
		b.start(0)
		id := b.id
		if i%2 == 1 {
			b.usable()
		}
		b.send(data(id, 0, "y"))
		b.want(closing(id))
	}
	b.usable()
}

// The handler may return before it: before or while that waits.
func TestStreamHandlerLeavesAConsumer(t *testing.T) {
	left := make(chan error, 1)
	var waits atomic.Bool
	b := newMoodRig(t, func(_ context.Context, ss ttrpc.StreamServer) error {
		receives := make(chan struct{})
		go func() {
			close(receives)
			_, err := recvText(ss)
			left <- err
		}()
		if waits.Load() {
			<-receives
			elapse(time.Millisecond)
		}
		return nil
	})
	for range moodRounds {
		waits.Store(!waits.Load())
		b.start(0)
		b.want(closing(b.id))
		if err := wait(t, left, "the consumer"); !errors.Is(err, ttrpc.ErrStreamClosed) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		b.usable()
	}
}

// A quick stream of the server's that blocks amid its messages does not hold up others.
func TestServersStreamThatBlocks(t *testing.T) {
	g := newGate()
	b := newMoodRig(t, nil, withStream("list", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
		in, err := recvText(ss)
		check(t, ss.SendMsg(text("first")))
		g.pass("")
		return errors.Join(err, ss.SendMsg(text(in)))
	})))
	for range moodRounds {
		b.quick()
		b.id += 2
		id := b.id
		b.send(requestOf(id, 1, &ttrpc.Request{Service: svc, Method: "list", Payload: encode(text("x"))}))
		b.want(data(id, 0, "first"))
		wait(t, g.started, "the handler")
		b.usable()
		g.release <- struct{}{}
		b.want(data(id, 0, "x"))
		b.want(closing(id))
	}
}
