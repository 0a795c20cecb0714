//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// After its end a stream says the same as often as it is asked.
func TestStreamsEnd(t *testing.T) {
	failure := status.Error(codes.Aborted, "oh")
	r := serve(t, &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
		"fails": bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
			if err := ss.SendMsg(text("a")); err != nil {
				return err
			}
			return failure
		}),
		"last": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			return text("last"), ss.SendMsg(text("a"))
		}},
		"eof": bidi(func(context.Context, ttrpc.StreamServer) error { return io.EOF }),
		"plain": {Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			in, err := recvText(ss)
			return text(in), err
		}},
	}})
	c := r.client()
	for _, test := range []struct {
		method string
		desc   *ttrpc.StreamDesc
		first  any
		want   []string
		end    error
	}{
		{"chat", both, text("a"), []string{"a"}, io.EOF},
		{"list", down, text("2"), []string{"0", "1"}, io.EOF},
		{"join", up, text("a"), []string{"[a]"}, io.EOF},
		{"last", down, text(""), []string{"a", "last"}, io.EOF},
		{"plain", &ttrpc.StreamDesc{}, text("a"), []string{"a"}, io.EOF},
		{"fails", both, nil, []string{"a"}, failure},
		{"eof", both, nil, nil, status.Error(codes.OutOfRange, "EOF")},
		{"none", both, nil, nil, status.Error(codes.Unimplemented, "method none")},
		{"echo", both, text("a"), []string{"a"}, io.EOF}, // a unary method
	} {
		t.Run(test.method, func(t *testing.T) {
			cs := open(t, bg, c, test.desc, test.method, test.first)
			if test.desc.StreamingClient && test.method != "echo" {
				if err := cs.CloseSend(); err != nil {
					t.Error("CloseSend:", err)
				}
			}
			wantNext(t, cs, test.want...)
			for range 3 {
				m := text("before")
				err := cs.RecvMsg(m)
				if test.end == io.EOF {
					wantExactly(t, err, io.EOF)
					equal(t, m.Value, "before")
				} else {
					wantStatus(t, err, status.Code(test.end), status.Convert(test.end).Message())
				}
			}
			if test.desc.StreamingClient {
				wantExactly(t, cs.SendMsg(text("x")), ttrpc.ErrStreamClosed)
			}
		})
	}
	wantEcho(t, c)
}

func TestSendOnStreamsThatDoNotSend(t *testing.T) {
	c, p := rawServer(t, "unix")
	for _, desc := range []*ttrpc.StreamDesc{down, {}} {
		cs := open(t, bg, c, desc, "list", text("1"))
		equal(t, p.recv().flags, 1)
		equal(t, cs.SendMsg(text("x")).Error(), "protocol error: cannot send data from non-streaming client")
		equal(t, cs.CloseSend().Error(), "protocol error: cannot close non-streaming client")
		wantIs(t, cs.SendMsg(text("x")), ttrpc.ErrProtocol)
		wantIs(t, cs.CloseSend(), ttrpc.ErrProtocol)
	}
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, 5)
}

// A server that sends messages where one answer was due breaks the protocol.
func TestDataFromServerThatDoesNotStream(t *testing.T) {
	c := serve(t, withStream("liar", ttrpc.Stream{StreamingClient: true, StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
		return nil, ss.SendMsg(text("a"))
	}})).client()
	cs := open(t, bg, c, up, "liar", nil)
	for range 2 {
		_, err := recvText(cs)
		wantIs(t, err, ttrpc.ErrProtocol)
		equal(t, err.Error(), "received data from non-streaming server: protocol error")
	}
	_, err := call(bg, c, "liar", "")
	equal(t, fmt.Sprint(err), `unexpected "data" message received: protocol error`)
	wantEcho(t, c)
}

// What a handler sees of its stream's end, and what it may still do.
func TestHandlersViewOfTheEnd(t *testing.T) {
	seen := make(chan string, 1)
	c := serve(t,
		withStream("look", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
			var all []string
			for range 3 {
				m := text("before")
				err := ss.RecvMsg(m)
				all = append(all, fmt.Sprint(m.Value, " ", err))
			}
			err := ss.SendMsg(text("still"))
			seen <- fmt.Sprint(strings.Join(all, ", "), "; ", err, " ", ctx.Err())
			return nil
		})),
		withStream("lookDown", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
			_, first := recvText(ss)
			_, second := recvText(ss)
			seen <- fmt.Sprint(first, " ", second)
			return nil
		}))).client()
	cs := open(t, bg, c, both, "look", text("a"))
	check(t, cs.CloseSend())
	wantTexts(t, cs, "still")
	equal(t, wait(t, seen, "handler"), "a <nil>, before EOF, before EOF; <nil> <nil>")
	wantTexts(t, open(t, bg, c, down, "lookDown", text("a")))
	equal(t, wait(t, seen, "handler"), "<nil> EOF")
}

// Once the handler has returned, its stream is of no more use, and does no harm.
func TestStreamServerAfterTheHandler(t *testing.T) {
	kept := make(chan ttrpc.StreamServer, 1)
	c := serve(t, withStream("keep", bidi(func(_ context.Context, ss ttrpc.StreamServer) error { kept <- ss; return nil }))).client()
	wantTexts(t, open(t, bg, c, both, "keep", text("a")))
	ss := wait(t, kept, "the stream")
	wantIs(t, ss.SendMsg(text("late")), ttrpc.ErrStreamClosed)
	_, err := recvText(ss)
	wantIs(t, err, ttrpc.ErrStreamClosed)
	wantEcho(t, c)
}

// A goroutine of the handler's is in RecvMsg when the handler returns.
func TestHandlerLeavesAReceiver(t *testing.T) {
	received := make(chan error, 1)
	c := serve(t, withStream("leave", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
		waiting := make(chan struct{})
		go func() {
			close(waiting)
			_, err := recvText(ss)
			received <- err
		}()
		<-waiting
		return nil
	}))).client()
	for range 20 {
		wantTexts(t, open(t, bg, c, both, "leave", nil))
		wantIs(t, wait(t, received, "RecvMsg"), ttrpc.ErrStreamClosed)
		wantEcho(t, c)
	}
}

// A message that cannot be sent, or decoded, leaves the stream as it was.
func TestStreamOutlivesBadMessages(t *testing.T) {
	c := serve(t).client(ttrpc.WithClientMaxSendMsgSize(1000))
	cs := open(t, bg, c, both, "chat", nil)
	for _, bad := range []any{"text", text(strings.Repeat("x", 2000)), text("\xff"), &sizedMessage{text: "x", fail: io.ErrNoProgress}} {
		if cs.SendMsg(bad) == nil {
			t.Errorf("%.20v was sent", bad)
		}
	}
	for _, s := range []string{"a", "b", "c"} {
		check(t, cs.SendMsg(text(s)))
	}
	if err := cs.RecvMsg("text"); err == nil {
		t.Error("a string was received into")
	}
	wantIs(t, cs.RecvMsg(&sizedMessage{fail: io.ErrNoProgress}), io.ErrNoProgress)
	wantNext(t, cs, "c")
}

func TestStreamsContext(t *testing.T) {
	c := serve(t).client()
	for name, begin := range map[string]func(t *testing.T) (ctx context.Context, cs ttrpc.ClientStream, want error){
		"cancelled": func(t *testing.T) (context.Context, ttrpc.ClientStream, error) {
			ctx, cancel := context.WithCancel(bg)
			cs := open(t, ctx, c, both, "mute", nil)
			time.AfterFunc(time.Millisecond, cancel)
			return ctx, cs, context.Canceled
		},
		"deadline": func(t *testing.T) (context.Context, ttrpc.ClientStream, error) {
			for timeout := 5 * time.Millisecond; ; timeout *= 2 {
				ctx, cancel := context.WithTimeout(bg, timeout)
				t.Cleanup(cancel)
				cs, err := c.NewStream(ctx, both, svc, "mute", nil)
				if !errors.Is(err, context.DeadlineExceeded) { // it was too short to open one
					check(t, err)
					return ctx, cs, context.DeadlineExceeded
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cs, want := begin(t)
			for range 2 {
				_, err := recvText(cs)
				if name == "deadline" && status.Code(err) == codes.DeadlineExceeded {
					continue // the handler was first
				}
				wantExactly(t, err, want)
			}
			<-ctx.Done()
			if cs.SendMsg(text("x")) == nil {
				t.Error("a message was sent")
			}
			if err := cs.CloseSend(); err != nil {
				t.Error("CloseSend:", err)
			}
			wantEcho(t, c)
		})
	}
}

// One goroutine sends, another receives, and more of each kind.
func TestStreamFromManyGoroutines(t *testing.T) {
	const senders, each = 8, 300
	c := serve(t).client()
	cs := open(t, bg, c, both, "chat", nil)
	var sending, receiving sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			for j := range each {
				if err := cs.SendMsg(text(fmt.Sprint(i, " ", j))); err != nil {
					t.Error("SendMsg:", err)
				}
			}
		})
	}
	var mu sync.Mutex
	got := map[string]int{}
	for range 4 {
		receiving.Go(func() {
			for {
				out, err := recvText(cs)
				if err != nil {
					wantExactly(t, err, io.EOF)
					return
				}
				mu.Lock()
				got[out]++
				mu.Unlock()
			}
		})
	}
	sending.Wait()
	check(t, cs.CloseSend())
	receiving.Wait()
	equal(t, len(got), senders*each)
	for out, n := range got {
		if n != 1 {
			t.Errorf("%q came %d times", out, n)
		}
	}
}

// The same on the server, with a handler of many goroutines.
func TestStreamServerFromManyGoroutines(t *testing.T) {
	const workers, each = 8, 200
	c := serve(t, withStream("many", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for {
					in, err := recvText(ss)
					if err != nil {
						return
					}
					if err := ss.SendMsg(text(in)); err != nil {
						t.Error("SendMsg:", err)
					}
				}
			})
		}
		wg.Wait()
		return nil
	}))).client()
	cs := open(t, bg, c, both, "many", nil)
	go func() {
		for i := range workers * each {
			if err := cs.SendMsg(text(fmt.Sprint(i))); err != nil {
				t.Error("SendMsg:", err)
			}
		}
		check(t, cs.CloseSend())
	}()
	got := map[string]bool{}
	for {
		out, err := recvText(cs)
		if err != nil {
			wantExactly(t, err, io.EOF)
			break
		}
		got[out] = true
	}
	equal(t, len(got), workers*each)
}

// Streams in both directions, more than there are buffers for, with both sides only sending first.
func TestLargeStreamsBothWays(t *testing.T) {
	const n = 100
	large := strings.Repeat("x", 64<<10)
	for _, transport := range []network{"unix", "pipe"} {
		c := serve(t, transport).client()
		cs := open(t, bg, c, both, "chat", nil)
		go func() {
			for range n {
				if err := cs.SendMsg(text(large)); err != nil {
					t.Error("SendMsg:", err)
				}
			}
			_ = cs.CloseSend()
		}()
		for range n {
			out, err := recvText(cs)
			check(t, err)
			equal(t, out == large, true)
		}
		wantTexts(t, cs)
	}
}

// transfer sends a number of bytes through a stream to a consumer that calls pause after each message, and returns
// by how much the heap has grown meanwhile.
func transfer(t *testing.T, transport network, total int, pause func(received int)) (heap uint64) {
	const size = 64 << 10
	var before runtime.MemStats
	runtime.GC()
	runtime.GC() // twice, for what is in pools
	runtime.ReadMemStats(&before)
	part := text(strings.Repeat("x", size))
	c := serve(t, transport, withStream("bulk", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
		for range total / size {
			if err := ss.SendMsg(part); err != nil {
				return err
			}
		}
		return nil
	}))).client()
	cs := open(t, bg, c, down, "bulk", nil)
	in := new(message)
	for i := range total / size {
		check(t, cs.RecvMsg(in))
		if len(in.Value) != size {
			t.Fatalf("message %d has %d bytes", i, len(in.Value))
		}
		if i%64 == 0 {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			heap = max(heap, stats.HeapAlloc-min(stats.HeapAlloc, before.HeapAlloc))
		}
		pause((i + 1) * size)
	}
	wantTexts(t, cs)
	return heap
}

const bulkHeap = 80 << 20 // an inbox of 8 MiB, a backlog of 1 MiB, and what the collector has not seen yet

// More than there are buffers for goes through a consumer that takes 20 MiB/s, in fake time.
func TestBulkTransferToSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		heap := transfer(t, "pipe", 64<<20, func(received int) {
			elapse(time.Until(start.Add(time.Duration(received) * time.Second / (20 << 20))))
		})
		if heap > bulkHeap {
			t.Errorf("the heap has grown by %d MiB", heap>>20)
		}
		equal(t, time.Since(start).Round(time.Millisecond), 3200*time.Millisecond)
	})
}

// The same with a gibibyte over a socket, in real time: nearly a minute, so only where it is asked for.
func TestBulkTransferInRealTime(t *testing.T) {
	if os.Getenv("TTRPC_TEST_LONG") == "" {
		t.Skip("TTRPC_TEST_LONG is not set")
	}
	start := time.Now()
	heap := transfer(t, "unix", 1<<30, func(received int) {
		if left := time.Until(start.Add(time.Duration(received) * time.Second / (20 << 20))); left > 0 {
			elapse(left)
		}
	})
	t.Logf("1 GiB in %v, the heap grew by %d MiB", time.Since(start).Round(time.Second), heap>>20)
	if heap > bulkHeap {
		t.Errorf("the heap has grown by %d MiB", heap>>20)
	}
}

// A consumer with small buffers that takes messages now and then, let go by the test: nothing is lost in any order
// of events.
func TestGatedConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"))
		c := r.client(ttrpc.WithClientStreamBuffer(10_000, 20_000))
		cs := open(t, bg, c, down, "list", text("5000"))
		for i := range 5000 {
			if i%37 == 0 {
				elapse(time.Duration(i%10) * 100 * time.Millisecond)
				synctest.Wait()
			}
			wantNext(t, cs, fmt.Sprint(i))
		}
		wantTexts(t, cs)
	})
}

// rhythm asks and answers on a stream until both sides have got used to it.
func rhythm(t *testing.T, cs ttrpc.ClientStream) {
	t.Helper()
	for range 300 {
		check(t, cs.SendMsg(text("a")))
		wantNext(t, cs, "a")
	}
}

// moody is chat, until it is asked to wait for its context.
func moody(started chan<- struct{}, ended chan<- error) ttrpc.Stream {
	return bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
		for {
			in, err := recvText(ss)
			if err != nil {
				ended <- err
				return err
			}
			if in == "wait" {
				started <- struct{}{}
				<-ctx.Done()
				ended <- ctx.Err()
				return ctx.Err()
			}
			if err := ss.SendMsg(text(in)); err != nil {
				return err
			}
		}
	})
}

// A stream that has been quick stops: its handler waits, or its client does, and everything else goes on and ends as
// ever.
func TestQuickStreamThatStops(t *testing.T) {
	type stage struct {
		*rig
		c              *ttrpc.Client
		cs             ttrpc.ClientStream
		started        chan struct{}
		ended          chan error
		wantClientsEnd error
	}
	handlerWaits := func(t *testing.T, s *stage) {
		check(t, s.cs.SendMsg(text("wait")))
		wait(t, s.started, "the handler")
	}
	clientWaits := func(*testing.T, *stage) {}
	ends := map[string]func(t *testing.T, s *stage){
		"client closes": func(t *testing.T, s *stage) { check(t, s.c.Close()); s.wantClientsEnd = ttrpc.ErrClosed },
		"server closes": func(t *testing.T, s *stage) { check(t, s.Close()); s.wantClientsEnd = ttrpc.ErrClosed },
		"deadline":      func(_ *testing.T, s *stage) { s.wantClientsEnd = context.DeadlineExceeded },
	}
	for start, begin := range map[string]func(*testing.T, *stage){"handler waits": handlerWaits, "client waits": clientWaits} {
		for name, end := range ends {
			t.Run(start+"/"+name, func(t *testing.T) {
				s := &stage{started: make(chan struct{}, 1), ended: make(chan error, 1)}
				s.rig = serve(t, withStream("moody", moody(s.started, s.ended)))
				s.c = s.client()
				ctx := bg
				if name == "deadline" {
					withDeadline, cancel := context.WithTimeout(bg, time.Second)
					defer cancel()
					ctx = withDeadline
				}
				s.cs = open(t, ctx, s.c, both, "moody", nil)
				for range 100 {
					check(t, s.cs.SendMsg(text("a")))
					wantNext(t, s.cs, "a")
				}
				begin(t, s)
				received := make(chan error, 1)
				go func() { _, err := recvText(s.cs); received <- err }()
				for range 5 {
					wantEcho(t, s.c)
				}
				wantTexts(t, open(t, bg, s.c, down, "list", text("2")), "0", "1")
				end(t, s)
				if err := wait(t, received, "RecvMsg"); status.Code(err) != codes.DeadlineExceeded || name != "deadline" {
					wantExactly(t, err, s.wantClientsEnd)
				}
				err := wait(t, s.ended, "the handler")
				if name == "deadline" {
					wantExactly(t, err, context.DeadlineExceeded)
					wantEcho(t, s.c)
				} else if !errors.Is(err, context.Canceled) && !errors.Is(err, ttrpc.ErrClosed) {
					t.Error("the handler got", err)
				}
			})
		}
	}
}

// The context of a client that reads for itself ends.
func TestQuickStreamIsCancelled(t *testing.T) {
	r := serve(t)
	for range 20 {
		c := r.client()
		ctx, cancel := context.WithCancel(bg)
		cs := open(t, ctx, c, both, "chat", nil)
		rhythm(t, cs)
		received := make(chan error, 1)
		go func() { _, err := recvText(cs); received <- err }()
		cancel()
		wantExactly(t, wait(t, received, "RecvMsg"), context.Canceled)
		wantEcho(t, c)
	}
}

// Two streams take turns in being the quick one, and calls come in between.
func TestQuickStreamsTakeTurns(t *testing.T) {
	for _, transport := range []network{"unix", "tcp", "pipe"} {
		c := serve(t, transport).client()
		one, two := open(t, bg, c, both, "chat", nil), open(t, bg, c, both, "chat", nil)
		for range 5 {
			rhythm(t, one)
			rhythm(t, two)
			for range 100 {
				wantEcho(t, c)
			}
			check(t, two.SendMsg(text("b"))) // which lies there while the other goes on
			rhythm(t, one)
			wantNext(t, two, "b")
		}
		check(t, one.CloseSend())
		wantTexts(t, one)
		rhythm(t, two)
		check(t, two.CloseSend())
		wantTexts(t, two)
	}
}

// What SendMsg and CloseSend have taken is written when the client is closed behind them, for a bounded time.
func TestCloseLosesNoMessage(t *testing.T) {
	for _, closeSend := range []bool{true, false} {
		a, b := pair(t, "unix")
		c, p := ttrpc.NewClient(a), newRawPeer(t, b)
		cs := open(t, bg, c, up, "join", nil)
		for i := range 200 {
			check(t, cs.SendMsg(text(strconv.Itoa(i))))
		}
		if closeSend {
			check(t, cs.CloseSend())
			check(t, a.(*net.UnixConn).CloseWrite()) // all has been written by now
		}
		check(t, c.Close())
		equal(t, p.recv().typ, 1)
		for i := range 200 {
			p.want(data(1, 0, strconv.Itoa(i)))
		}
		if closeSend {
			p.want(closing(1))
		}
		p.wantEnd()
	}
}

func TestCloseWaitsForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := rawServer(t, "pipe")
		ctx, cancel := context.WithCancel(bg) // so that a flusher writes
		defer cancel()
		cs := open(t, ctx, c, up, "join", nil)
		for range 5 { // more than it writes itself
			check(t, cs.SendMsg(text("unread")))
		}
		begin := time.Now()
		received := make(chan error, 1)
		go func() { received <- cs.RecvMsg(new(message)) }()
		check(t, c.Close())
		equal(t, time.Since(begin), time.Second)
		wantExactly(t, <-received, ttrpc.ErrClosed)
		p.Close()
	})
}

// bomb is a message of gogo's kind whose Unmarshal panics when it is told so.
type bomb struct{ text string }

func (b *bomb) Reset()                            { b.text = "" }
func (b *bomb) String() string                    { return b.text }
func (b *bomb) ProtoMessage()                     {}
func (b *bomb) Size() int                         { return len(b.text) }
func (b *bomb) MarshalTo(dst []byte) (int, error) { return copy(dst, b.text), nil }
func (b *bomb) Unmarshal(src []byte) error {
	if b.text = string(src); b.text == "bomb" {
		panic(b.text)
	}
	return nil
}

// A message that panics as it is decoded costs itself alone.
func TestUnmarshalPanicsInAStream(t *testing.T) {
	c, p := rawServer(t, "unix")
	cs := open(t, bg, c, down, "list", text(""))
	p.recv()
	p.send(rawFrame{id: 1, typ: 3, data: []byte("bomb")}, rawFrame{id: 1, typ: 3, data: []byte("next")}, rawFrame{id: 1, typ: 3, data: []byte("bomb")})
	recv := func() (text string, panicked any) {
		m := new(bomb)
		defer func() { panicked = recover() }()
		check(t, cs.RecvMsg(m))
		return m.text, nil
	}
	for _, want := range []string{"bomb", "next", "bomb", "last"} {
		if want == "last" {
			p.send(rawFrame{id: 1, typ: 3, data: []byte("last")})
		}
		got, panicked := recv()
		if want == "bomb" {
			equal(t, panicked, any("bomb"))
			continue
		}
		equal(t, got, want)
	}
}
