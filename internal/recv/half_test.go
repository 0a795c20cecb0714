//go:build go1.25

package recv

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// peer is one that may be told limits, or not.
type peer bool

func (p peer) KnowsWindows() bool { return bool(p) }

func newInflow(streamLimit, window int, p peer) *flow.Inflow {
	fl := new(flow.Inflow)
	fl.Init(streamLimit, 8<<20, window, p)
	return fl
}

func newHalf(fl *flow.Inflow, until Until) *Half {
	h := new(Half)
	h.InitStream(fl, until)
	return h
}

// message is a Data frame as the reader has it.
func message(text string) *transport.Inbound {
	raw := testkit.Data(1, text)
	return &transport.Inbound{Header: wire.ParseHeader(raw), Raw: raw}
}

// push wants room for a message, and returns what its sender is to be told.
func push(t *testing.T, h *Half, text string) flow.Limit {
	t.Helper()
	ok, due := h.Push(message(text))
	testkit.Equal(t, ok, true)
	return due
}

func frameOf(text string) *wire.Frame {
	f := wire.NewFrame(wire.HeaderLen + len(text))
	f.Append(testkit.Data(1, text))
	return f
}

// take wants a message, and releases it.
func take(t *testing.T, h *Half, want string) (room bool, due flow.Limit) {
	t.Helper()
	f, data, err := h.Next()
	testkit.Check(t, err)
	testkit.Equal(t, string(data), want)
	testkit.Equal(t, f == h.cur, true)
	return h.Release()
}

// wantEnd wants no message, but an end.
func wantEnd(t *testing.T, h *Half, want error) {
	t.Helper()
	_, _, err := h.Next()
	testkit.WantExactly(t, err, want)
}

// Messages come out one by one in their order. Small ones share a buffer, which makes room with the
// last; what comes while it is being taken is behind it.
func TestMessagesInTheirOrder(t *testing.T) {
	h := newHalf(newInflow(1<<20, 1<<20, true), UntilEnded)
	wantEnd(t, h, ErrNothingYet)
	push(t, h, "a")
	push(t, h, "")
	room, _ := take(t, h, "a")
	testkit.Equal(t, room, false)
	push(t, h, "c")
	room, _ = take(t, h, "")
	testkit.Equal(t, room, true)
	room, _ = h.Release()
	testkit.Equal(t, room, false)
	room, _ = take(t, h, "c")
	testkit.Equal(t, room, true)
	wantEnd(t, h, ErrNothingYet)
}

// A message that has no room is refused, and has it when one is taken: its bytes count until then,
// also those that were in the Request.
func TestRoomForMessages(t *testing.T) {
	text := strings.Repeat("x", 90)
	for name, first := range map[string]func(*Half){
		"pushed": func(h *Half) { push(t, h, text) },
		"in the Request": func(h *Half) {
			h.PushFirst(frameOf(text))
		},
	} {
		fl := newInflow(150, 1<<20, false)
		h := newHalf(fl, UntilDiscarded)
		first(h)
		ok, _ := h.Push(message(text))
		if ok || fl.Buffered() != 100 || h.Progress().Unread != 100 {
			t.Errorf("%s: room %v, %d bytes are counted, of %d", name, ok, fl.Buffered(), h.Progress().Unread)
		}
		take(t, h, text)
		push(t, h, text)
		take(t, h, text)
		testkit.Equal(t, fl.Buffered(), 0)
	}
}

// loop is the one who reads.
type loop struct{}

func (loop) TryEnter() bool { return true }
func (loop) Enter()         {}
func (loop) Leave()         {}

// A large frame with a buffer of its own is taken with it; a small one is copied.
func TestLargeFramesAreNotCopied(t *testing.T) {
	for size, taken := range map[int]bool{wire.SmallFrame: false, wire.SmallFrame + 1: true} {
		raw := testkit.Data(1, strings.Repeat("x", size-wire.HeaderLen))
		a, b := testkit.Pair(t, "pipe")
		go func() {
			_, _ = b.Write(raw[:20]) // in two pieces, which have it get its buffer
			_, _ = b.Write(raw[20:])
		}()
		in, err := transport.New(a, transport.Config{MaxData: size}).Recv(loop{}, true)
		testkit.Check(t, err)
		testkit.Equal(t, in.Whole(), true)
		h := newHalf(newInflow(1<<20, 1<<20, true), UntilEnded)
		ok, _ := h.Push(in)
		if !ok || in.Whole() == taken {
			t.Errorf("%d bytes: pushed %v, taken %v", size, ok, !in.Whole())
		}
		take(t, h, string(raw[wire.HeaderLen:]))
	}
}

// The sender is told a limit where a half of the window lies unread, one with room when that is
// taken, and one more message where the consumer waits.
func TestLimitsForTheSender(t *testing.T) {
	const frame = 100
	text := strings.Repeat("x", frame-wire.HeaderLen)
	h := newHalf(newInflow(1<<10, 2*frame, true), UntilEnded)
	h.Pass(0)
	testkit.Equal(t, push(t, h, text), flow.Limit{Bytes: 2 * frame, Due: true})
	testkit.Equal(t, h.Progress(), Progress{Unread: frame, Received: frame, Limit: flow.Limit{Bytes: 2 * frame, Due: true}})
	testkit.Equal(t, h.Restrain(), flow.Limit{}) // it is under control
	testkit.Equal(t, push(t, h, text), flow.Limit{})
	for range 2 {
		_, due := take(t, h, text)
		testkit.Equal(t, due.Due, h.Progress().Unread == 0) // the two share a buffer
	}
	testkit.Equal(t, h.Want(), flow.Limit{}) // it may send
	h.Pass(2 * frame)
	testkit.Equal(t, h.Want(), flow.Limit{Bytes: 6 * frame, Due: true})
	h.End(nil, nil)
	testkit.Equal(t, h.Progress(), Progress{Ended: true, Received: 4 * frame})
}

// A consumer is idle from the first message on that it does not take, and from each that it does,
// as long as the connection's buffer would have room by that.
func TestIdleSince(t *testing.T) {
	pushed := func(h *Half) { push(t, h, "a") }
	for _, c := range []struct {
		until  Until
		counts bool // behind the end
		first  func(*Half)
	}{
		{UntilEnded, false, pushed},
		{UntilDiscarded, true, pushed},
		{UntilDiscarded, true, func(h *Half) { h.PushFirst(frameOf("a")) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHalf(newInflow(1<<20, 1<<20, true), c.until)
			want := func(since time.Duration, ok bool) {
				t.Helper()
				got, holds := h.IdleSince()
				if holds != ok || ok && got != since {
					t.Fatalf("since %v, %v, want %v, %v", got, holds, since, ok)
				}
			}
			want(0, false)
			elapse(time.Second)
			began := transport.Clock()
			c.first(h)
			elapse(time.Second)
			push(t, h, "b")
			want(began, true)
			took := transport.Clock()
			take(t, h, "a")
			elapse(time.Second)
			want(took, true)
			h.End(nil, nil)
			want(took, c.counts)
			take(t, h, "b")
			want(0, false)
		})
	}
}

// elapse lets time go by in a synctest bubble.
func elapse(d time.Duration) { <-time.NewTimer(d).C }

// The end of a context counts as long as more may come.
func TestWatchEndsWithTheHalf(t *testing.T) {
	watch := func(h *Half) (cancel func(), ended chan struct{}) {
		ctx, cancel := context.WithCancel(context.Background())
		ended = make(chan struct{})
		h.Watch(ctx, func() { close(ended) })
		return cancel, ended
	}
	end := func(h *Half) { h.End(nil, nil) }
	for name, c := range map[string]struct {
		before, between func(*Half)
		called          bool
	}{
		"no end":            {func(*Half) {}, func(*Half) {}, true},
		"an end before it":  {end, func(*Half) {}, false},
		"an end":            {func(*Half) {}, end, false},
		"an end by discard": {func(*Half) {}, func(h *Half) { h.Discard(errFirst) }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHalf(newInflow(1<<20, 1<<20, true), UntilEnded)
			c.before(h)
			cancel, ended := watch(h)
			c.between(h)
			cancel()
			synctest.Wait()
			select {
			case <-ended:
				testkit.Equal(t, c.called, true)
			default:
				if c.called {
					t.Errorf("%s: it was not called", name)
				}
			}
		})
	}
}

// What has happened to a half has woken its consumer, once for all; what has not is no wake-up.
func TestWakeUps(t *testing.T) {
	h := newHalf(newInflow(1<<20, 1<<20, true), UntilEnded)
	h.ClearWake()
	push(t, h, "a") // whose reader wakes the consumer, then or later
	testkit.Equal(t, h.HasWake(), false)
	for _, wake := range []func(){h.Wake, func() { h.Pass(10) }, func() { h.End(nil, nil) }, func() { h.Discard(errFirst) }} {
		wake()
		testkit.Equal(t, h.HasWake(), true)
		h.Wake()
		<-h.Ready()
		testkit.Equal(t, h.HasWake(), false)
		h.Wake()
		h.ClearWake()
		testkit.Equal(t, h.HasWake(), false)
	}
}

// A Response is the end once it was taken, and after that its status.
func TestStatusOfAResponse(t *testing.T) {
	status := errors.New("the server's")
	h := newHalf(newInflow(1<<20, 1<<20, true), UntilEnded)
	push(t, h, "a")
	f := wire.EndFrame()
	h.End(f, nil)
	take(t, h, "a")
	wantEnd(t, h, ErrAnswered)
	reply := h.TakeReply()
	testkit.Equal(t, reply, f)
	reply.Free()
	wantEnd(t, h, io.EOF)
	h.SetStatus(status)
	wantEnd(t, h, status)
	testkit.WantExactly(t, h.Failure(), nil)
}

// A Response that comes behind the end is freed: nobody else does.
func TestResponseBehindTheEnd(t *testing.T) {
	h := newHalf(newInflow(1<<20, 1<<20, true), UntilEnded)
	h.End(nil, nil)
	late := wire.EndFrame()
	testkit.Equal(t, h.End(late, nil), false)
	defer func() {
		if recover() == nil {
			t.Error("it was not freed")
		}
	}()
	late.Free()
}

// A unary call's half serves the next call as if it were new, whatever has ended it.
func TestReuse(t *testing.T) {
	h := new(Half)
	h.Init()
	f := wire.EndFrame()
	for _, c := range []struct {
		end   func()
		reply *wire.Frame
		err   error
	}{
		{func() { h.End(nil, errFirst) }, nil, errFirst},
		{func() { h.End(f, nil) }, f, nil},
		{func() { h.Discard(errFirst) }, nil, errFirst},
		{func() { h.Discard(errSecond) }, nil, errSecond},
	} {
		testkit.Equal(t, h.IsEnded(), false)
		c.end()
		<-h.Ready()
		reply, err := h.Reuse()
		testkit.WantExactly(t, err, c.err)
		testkit.Equal(t, reply, c.reply)
	}
	f.Free()
}
