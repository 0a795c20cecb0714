//go:build go1.25

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// borrowing tries what handlers do that the reader runs. Its stream "moody" echoes what it receives; told to, in a run by the reader,
// it does something else.
type borrowing struct {
	*rig
	*rawPeer
	t    *testing.T
	mood func(ctx context.Context, ss StreamServer) error
	id   uint32 // of the last call
}

func newBorrowing(t *testing.T, mood func(ctx context.Context, ss StreamServer) error, opts ...any) *borrowing {
	if !canTryIO {
		t.Skip("the reader runs no handlers here")
	}
	b := &borrowing{t: t, mood: mood, id: 1}
	b.rig = serve(t, append(opts, withStream("moody", bidi(b.moody)))...)
	b.rawPeer = b.raw()
	return b
}

func (b *borrowing) moody(ctx context.Context, ss StreamServer) error {
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
		b.trust("moody")
		b.id += 2
		b.send(requestOf(b.id, 6, &Request{Service: svc, Method: "moody", TimeoutNano: int64(timeout)}))
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

// trust has the reader run a method, if its next call comes soon: as if there had been many, and quick ones.
func (b *borrowing) trust(method string) {
	b.t.Helper()
	b.wantUsable(b.id + 2)
	b.id += 2
	m := b.method(method)
	m.average.Store(0)
	m.quick.Store(quickEnough)
	equal(b.t, b.conn().heat(), true)
}

func (b *borrowing) method(name string) *method {
	b.t.Helper()
	m, st := b.registry.find([]byte(svc), []byte(name))
	equal(b.t, st, nil)
	return m
}

// conn is the server's side of the connection.
func (b *borrowing) conn() *serverConn { return b.conns()[0] }

func (b *borrowing) duty() (d duty, lent bool) {
	sc := b.conn()
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.duty, sc.lent != 0
}

// replaced waits until there is a reader's goroutine again.
func (b *borrowing) replaced() {
	b.t.Helper()
	eventually(b.t, "another goroutine to stand by", func() bool { _, lent := b.duty(); return !lent })
}

// usable makes calls beside the mood.
func (b *borrowing) usable() {
	b.t.Helper()
	for i := range uint32(3) {
		b.wantUsable(b.id + 2 + 2*i)
	}
}

// A handler in its second RecvMsg has the connection read: for itself, and for calls beside it.
func TestLentReaderWaits(t *testing.T) {
	b := newBorrowing(t, chat)
	for i := range 8 {
		b.start(0)
		if i&1 != 0 {
			b.replaced()
		}
		if i&2 != 0 {
			b.usable()
		}
		for range 20 {
			b.send(data(b.id, 0, "y"))
			b.want(data(b.id, 0, "y"))
		}
		if i&4 != 0 {
			b.send(data(b.id, 0, "z"), request(b.id+8, "echo", "beside"))
			one, other := b.recv(), b.recv()
			if one.typ == 2 {
				one, other = other, one
			}
			if !one.equal(data(b.id, 0, "z")) || !other.equal(answer(b.id+8, "beside")) {
				t.Error(one, other)
			}
		}
		b.send(closing(b.id))
		b.want(closing(b.id))
		b.id += 8
	}
}

// One that blocks, before or after it has received more, holds nobody up.
func TestLentReaderBlocks(t *testing.T) {
	for _, receives := range []int{0, 1, 2} {
		g := newGate()
		b := newBorrowing(t, func(_ context.Context, ss StreamServer) error {
			for range receives {
				if _, err := recvText(ss); err != nil {
					return err
				}
			}
			g.pass("")
			return nil
		})
		m := b.method("moody")
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
			return m.distrust.Load() > 0 || receives > 1 // it has waited between the monitor's looks
		})
	}
}

// Frames that were read together with a stream's opening are not lost, also if its consumer can't hand them out: here since the peer
// reads nothing, until the stream's deadline.
func TestLentReaderKeepsWhatWasRead(t *testing.T) {
	large := text(strings.Repeat("b", 1500<<10)) // more than a socket holds
	ended := make(chan error, 1)
	b := newBorrowing(t, func(_ context.Context, ss StreamServer) error {
		err := ss.SendMsg(large)
		if err == nil {
			_, err = recvText(ss)
		}
		select {
		case ended <- err:
		default: // nobody has asked for the last one's, whose answer came behind others'
		}
		return err
	}, WithServerWriteBacklog(20000))
	eventually(t, "the reader to run it", func() bool {
		b.trust("moody")
		b.id += 2
		frames := []rawFrame{requestOf(b.id, 2, &Request{
			Service: svc, Method: "moody", TimeoutNano: int64(200 * time.Millisecond), Payload: encode(text("mood")),
		})}
		missing := map[uint32]bool{}
		for i := uint32(1); i <= 5; i++ {
			frames = append(frames, request(b.id+2*i, "echo", "beside"))
			missing[b.id+2*i] = true
		}
		b.send(frames...)
		f := b.recv()
		byReader := f.equal(data(b.id, 0, "reader"))
		if byReader {
			wait(t, ended, "the stream's deadline")
		}
		for ends := false; ; f = b.recv() {
			switch {
			case f.id == b.id: // what the stream has sent
				ends = ends || f.typ == 2
			case !f.equal(answer(f.id, "beside")):
				t.Fatal("not wanted:", f)
			}
			if delete(missing, f.id); ends && len(missing) == 0 {
				break
			}
		}
		b.id += 2 * 5
		return byReader
	})
}

// A handler whose messages the peer does not take is not to be blamed, and others read meanwhile.
func TestLentReaderSends(t *testing.T) {
	g := newGate()
	b := newBorrowing(t, func(_ context.Context, ss StreamServer) error {
		for range 1000 {
			if err := ss.SendMsg(text(strings.Repeat("b", 1000))); err != nil {
				return err
			}
		}
		return nil
	}, WithServerWriteBacklog(20000), withMethod("gate", g.unary()))
	m := b.method("moody")
	inARow := 0
	eventually(t, "it to be trusted all the same", func() bool {
		m.distrust.Store(0)
		b.start(0)
		eventually(t, "the backlog to be full", func() bool { return !b.conn().ch.hasTurn() })
		b.send(request(b.id+2, "gate", "beside"))
		wait(t, g.started, "a call beside it")
		elapse(5 * monitorTick)
		if inARow++; m.distrust.Load() > 0 {
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

// The consumer may be another goroutine than the handler's.
func TestLentReaderToAnotherGoroutine(t *testing.T) {
	b := newBorrowing(t, func(_ context.Context, ss StreamServer) error {
		got := make(chan error)
		go func() {
			_, err := recvText(ss)
			got <- err
		}()
		return <-got
	})
	for i := range 4 {
		b.start(0)
		if i%2 == 1 {
			b.usable()
			b.id += 6
			b.send(data(b.id-6, 0, "y"))
			b.want(closing(b.id - 6))
			continue
		}
		b.send(data(b.id, 0, "y"))
		b.want(closing(b.id))
	}
	b.usable()
}

// The handler may return before it: before or while that reads.
func TestLentReaderLeavesAConsumerBehind(t *testing.T) {
	left := make(chan error, 1)
	reads := make(chan bool, 1)
	var b *borrowing
	var waits atomic.Bool
	b = newBorrowing(t, func(_ context.Context, ss StreamServer) error {
		go func() {
			_, err := recvText(ss)
			left <- err
		}()
		if waits.Load() {
			run := ss.(*serverStream).run
			eventually(t, "the consumer to read, or to be too late for it", func() bool {
				d, _ := b.duty()
				return d != dutyNone && b.conn().inline.run.Load() != run
			})
		}
		d, _ := b.duty()
		reads <- d == dutyCaller
		return nil
	})
	for did := 0; did < 10; {
		waits.Store(!waits.Load())
		b.start(0)
		b.want(closing(b.id))
		if err := wait(t, left, "the consumer"); !errors.Is(err, ErrStreamClosed) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if <-reads {
			did++
		}
		b.usable()
		b.id += 6
	}
}

// Ways of a handler to end that has lent the reading.
func TestLentReaderEnds(t *testing.T) {
	again := func(ss StreamServer) {
		_, err := recvText(ss)
		check(t, err)
	}
	for name, test := range map[string]struct {
		mood    func(ctx context.Context, ss StreamServer) error
		timeout time.Duration
		want    func(b *borrowing)
	}{
		"Goexit": {
			mood: func(_ context.Context, ss StreamServer) error { again(ss); runtime.Goexit(); return nil },
			want: func(b *borrowing) { b.wantStatus(b.id, codes.Unknown, errHandlerExit.Error()) },
		},
		"Goexit of one who was replaced": {
			mood: func(_ context.Context, ss StreamServer) error { again(ss); again(ss); runtime.Goexit(); return nil },
			want: func(b *borrowing) {
				b.replaced()
				b.send(data(b.id, 0, "z"))
				b.wantStatus(b.id, codes.Unknown, errHandlerExit.Error())
			},
		},
		"panic": {
			mood: func(_ context.Context, ss StreamServer) error { again(ss); panic("no") },
			want: func(b *borrowing) { b.wantStatus(b.id, codes.Internal, "recovered: no") },
		},
		"error": {
			mood: func(_ context.Context, ss StreamServer) error { again(ss); return errors.New("no") },
			want: func(b *borrowing) { b.wantStatus(b.id, codes.Unknown, "no") },
		},
		"deadline": {
			mood:    func(_ context.Context, ss StreamServer) error { _, err := recvText(ss); return err },
			timeout: 200 * time.Millisecond,
			want: func(b *borrowing) {
				b.wantStatus(b.id, codes.DeadlineExceeded, context.DeadlineExceeded.Error())
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBorrowing(t, test.mood, WithRecovery(func(_ context.Context, _ string, v any, _ []byte) error {
				return status.Errorf(codes.Internal, "recovered: %v", v)
			}))
			for range 3 {
				b.start(test.timeout)
				if test.timeout == 0 {
					b.send(data(b.id, 0, "y"))
				}
				test.want(b)
				b.usable()
				b.id += 6
			}
		})
	}
}

// Ways of the connection to end while the reading is lent: the handler learns of it, wherever it is.
func TestLentReaderOfAConnectionThatEnds(t *testing.T) {
	ends := map[string]func(b *borrowing){
		"gone":    func(b *borrowing) { check(t, b.rawPeer.Close()) },
		"closed":  func(b *borrowing) { check(t, b.Server.Close()) },
		"damaged": func(b *borrowing) { b.conn().fail(io.ErrUnexpectedEOF) },
		"shut down": func(b *borrowing) {
			ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
			defer cancel()
			wantExactly(t, b.Shutdown(ctx), context.DeadlineExceeded)
			check(t, b.Server.Close())
		},
	}
	moods := map[string]func(ctx context.Context, ss StreamServer) error{
		"receives": func(_ context.Context, ss StreamServer) error { _, err := recvText(ss); return err },
		"blocks":   func(ctx context.Context, _ StreamServer) error { <-ctx.Done(); return ctx.Err() },
		"blocks later": func(ctx context.Context, ss StreamServer) error {
			if _, err := recvText(ss); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
	}
	for name, end := range ends {
		for mood, f := range moods {
			t.Run(fmt.Sprint(name, ", ", mood), func(t *testing.T) {
				result := make(chan error, 1)
				b := newBorrowing(t, func(ctx context.Context, ss StreamServer) error {
					err := f(ctx, ss)
					result <- err
					return err
				})
				b.start(0)
				if mood == "blocks later" {
					b.send(data(b.id, 0, "y"))
				}
				end(b)
				if err := wait(t, result, "the handler's end"); err == nil {
					t.Error("it ended well")
				}
				eventually(t, "the connection to be forgotten", func() bool { return len(b.conns()) == 0 })
			})
		}
	}
}

// Shutdown waits for a handler that has lent the reading, and what the client sends still reaches it.
func TestLentReaderAtShutdown(t *testing.T) {
	b := newBorrowing(t, chat)
	b.start(0)
	done := make(chan error, 1)
	go func() { done <- b.Shutdown(bg) }()
	eventually(t, "the draining", b.conn().isDraining)
	b.send(data(b.id, 0, "y"))
	b.want(data(b.id, 0, "y"))
	b.send(closing(b.id))
	b.want(closing(b.id))
	check(t, wait(t, done, "Shutdown"))
	b.wantEnd()
}

// A quick stream of the server's that blocks amid its messages does not hold up others.
func TestReaderRunsAStreamThatBlocks(t *testing.T) {
	g := newGate()
	b := newBorrowing(t, nil, withStream("list", downStream(func(_ context.Context, ss StreamServer) error {
		in, err := recvText(ss)
		if err == nil && isReaders() {
			check(t, ss.SendMsg(text("reader")))
			g.pass("")
		}
		return errors.Join(err, ss.SendMsg(text(in)))
	})))
	for blocked := 0; blocked < 3; {
		b.trust("list")
		b.id += 2
		b.send(requestOf(b.id, 1, &Request{Service: svc, Method: "list", Payload: encode(text("x"))}))
		id, f := b.id, b.recv()
		if f.equal(data(id, 0, "reader")) {
			wait(t, g.started, "the handler")
			b.usable()
			b.id += 6
			g.release <- struct{}{}
			f = b.recv()
			blocked++
		}
		if !f.equal(data(id, 0, "x")) {
			t.Fatal("not wanted:", f)
		}
		b.want(closing(id))
	}
}

func isReaders() bool { return strings.Contains(string(stack()), "runInline") }

// A method is judged by what it does itself: while it waits for a message nobody is held up.
func TestWaitingIsNotHeldAgainstAStream(t *testing.T) {
	b := newBorrowing(t, nil)
	m := b.method("moody")
	const waits = 5 * time.Millisecond
	m.average.Store(int64(2 * waits))
	eventually(t, "the method to look quick", func() bool {
		b.id += 2
		b.send(opening(b.id, "moody"))
		elapse(waits)
		b.send(data(b.id, 0, "x"))
		b.want(data(b.id, 0, "x"))
		b.send(closing(b.id))
		b.want(closing(b.id))
		return m.average.Load() < int64(waits/2)
	})
}
