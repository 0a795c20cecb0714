//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// borrowing tries what handlers do that the reader runs. Its stream "moody" echoes what it receives; told to, in a run by the reader,
// it does something else.
type borrowing struct {
	*rig
	*rawPeer
	t    *testing.T
	mood func(ctx context.Context, ss ttrpc.StreamServer) error
	id   uint32 // of the last call
}

func newBorrowing(t *testing.T, mood func(ctx context.Context, ss ttrpc.StreamServer) error, opts ...any) *borrowing {
	if !ttrpc.CanRunInline {
		t.Skip("the reader runs no handlers here")
	}
	b := &borrowing{t: t, mood: mood, id: 1}
	b.rig = serve(t, append(opts, withStream("moody", bidi(b.moody)))...)
	b.rawPeer = b.raw()
	return b
}

func (b *borrowing) moody(ctx context.Context, ss ttrpc.StreamServer) error {
	in, err := recvText(ss)
	switch {
	case err != nil:
		return err
	case in == "mood" && isReaders():
		if err := ss.SendMsg(text("reader")); err != nil {
			return err
		}
		return b.mood(ctx, ss)
	}
	if err := ss.SendMsg(text(in)); err != nil {
		return err
	}
	return chat(ctx, ss)
}

// start has the reader run the mood.
func (b *borrowing) start(timeout time.Duration) {
	b.t.Helper()
	for {
		b.trust()
		b.id += 2
		b.send(requestOf(b.id, 6, &ttrpc.Request{Service: svc, Method: "moody", TimeoutNano: int64(timeout)}))
		b.send(data(b.id, 0, "mood"))
		f := b.recv()
		if f.equal(data(b.id, 0, "reader")) {
			return
		}
		switch { // it came too late: after trust, or after its deadline
		case f.equal(data(b.id, 0, "mood")):
			b.send(closing(b.id))
			f = b.recv()
		case timeout == 0:
			b.t.Fatal("not wanted:", f)
		}
		if !f.equal(closing(b.id)) {
			equal(b.t, f.response(b.t).GetStatus().GetCode(), int32(codes.DeadlineExceeded))
		}
	}
}

// trust has the reader run the next call, if that comes soon.
func (b *borrowing) trust() {
	b.t.Helper()
	b.wantUsable(b.id + 2)
	b.id += 2
	ttrpc.ForceInline(b.Server)
}

// usable makes calls beside the mood.
func (b *borrowing) usable() {
	b.t.Helper()
	for i := range uint32(3) {
		b.wantUsable(b.id + 2 + 2*i)
	}
}

// One that blocks, before or after it has received more, holds nobody up.
func TestLentReaderBlocks(t *testing.T) {
	for _, receives := range []int{0, 1, 2} {
		g := newGate()
		b := newBorrowing(t, func(_ context.Context, ss ttrpc.StreamServer) error {
			for range receives {
				if _, err := recvText(ss); err != nil {
					return err
				}
			}
			g.pass("")
			return nil
		})
		eventually(t, "it to be suspected", func() bool {
			b.start(0)
			for range receives {
				b.send(data(b.id, 0, "y"))
			}
			wait(t, g.started, "the handler")
			b.usable()
			g.release <- struct{}{}
			b.want(closing(b.id))
			b.id += 6
			return ttrpc.Distrust(b.Server, svc, "moody") > 0 || receives > 1 // it has waited between the monitor's looks
		})
	}
}

// A handler whose messages the peer does not take is not to be blamed, and others read meanwhile.
func TestLentReaderSends(t *testing.T) {
	g := newGate()
	b := newBorrowing(t, func(_ context.Context, ss ttrpc.StreamServer) error {
		for range 1000 {
			if err := ss.SendMsg(text(strings.Repeat("b", 1000))); err != nil {
				return err
			}
		}
		return nil
	}, ttrpc.WithServerWriteBacklog(20000), withMethod("gate", g.unary()))
	inARow := 0
	eventually(t, "it to be trusted all the same", func() bool {
		ttrpc.ResetDistrust(b.Server, svc, "moody")
		b.start(0)
		eventually(t, "the backlog to be full", func() bool { return ttrpc.BacklogIsFull(b.Server) })
		b.send(request(b.id+2, "gate", "beside"))
		wait(t, g.started, "a call beside it")
		elapse(5 * time.Millisecond)
		if inARow++; ttrpc.Distrust(b.Server, svc, "moody") > 0 {
			inARow = 0
		}
		g.release <- struct{}{}
		for ends := 0; ends < 2; {
			if f := b.recv(); f.equal(closing(b.id)) || f.equal(answer(b.id+2, "beside")) {
				ends++
			}
		}
		b.id += 2
		return inARow == 8
	})
}

// The handler may return before it: before or while that reads.
func TestLentReaderLeavesAConsumerBehind(t *testing.T) {
	left := make(chan error, 1)
	reads := make(chan bool, 1)
	var b *borrowing
	var waits atomic.Bool
	b = newBorrowing(t, func(_ context.Context, ss ttrpc.StreamServer) error {
		go func() {
			_, err := recvText(ss)
			left <- err
		}()
		if waits.Load() {
			elapse(200 * time.Microsecond) // so that the consumer reads, or another goroutine by now
		}
		reads <- ttrpc.CallerReads(b.Server)
		return nil
	})
	for did := 0; did < 10; {
		waits.Store(!waits.Load())
		b.start(0)
		b.want(closing(b.id))
		if err := wait(t, left, "the consumer"); !errors.Is(err, ttrpc.ErrStreamClosed) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if <-reads {
			did++
		}
		b.usable()
		b.id += 6
	}
}

func isReaders() bool { return strings.Contains(string(debug.Stack()), "runInline") }

// A method is judged by what it does itself: while it waits for a message nobody is held up.
func TestWaitingIsNotHeldAgainstAStream(t *testing.T) {
	b := newBorrowing(t, nil)
	const waits = 5 * time.Millisecond
	ttrpc.SetAverageRun(b.Server, svc, "moody", int64(2*waits))
	eventually(t, "the method to look quick", func() bool {
		b.id += 2
		b.send(opening(b.id, "moody"))
		elapse(waits)
		b.send(data(b.id, 0, "x"))
		b.want(data(b.id, 0, "x"))
		b.send(closing(b.id))
		b.want(closing(b.id))
		return ttrpc.AverageRun(b.Server, svc, "moody") < int64(waits/2)
	})
}
