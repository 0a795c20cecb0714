//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// The rules of PROTOCOL.md's section on bounds, mostly in fake time.

// kilo is a message of a bit more than 1000 bytes, with its frame.
var kilo = text(strings.Repeat("k", 1000))

// unread opens a stream that the other side does not read and sends n messages.
func unread(t *testing.T, c *ttrpc.Client, n int) ttrpc.ClientStream {
	t.Helper()
	cs := open(t, bg, c, both, "mute", nil)
	for range n {
		check(t, cs.SendMsg(kilo))
	}
	return cs
}

func TestP49UnreadStreamsHarmNobody(t *testing.T) {
	const n, streams = 7000, 2 // of 1 kB: under 8 MiB a stream and 32 MiB a connection
	r := serve(t)
	t.Run("at the server", func(t *testing.T) {
		c := r.client()
		for range streams {
			unread(t, c, n)
			wantEcho(t, c)
		}
	})
	t.Run("at the client", func(t *testing.T) {
		r := serve(t, withStream("many", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
			for range n {
				if err := ss.SendMsg(kilo); err != nil {
					return err
				}
			}
			return nil
		})))
		c := r.client()
		var unread []ttrpc.ClientStream
		for range streams {
			unread = append(unread, open(t, bg, c, down, "many", nil))
			wantEcho(t, c)
		}
		for _, cs := range unread {
			for range n {
				wantNext(t, cs, kilo.Value)
			}
			wantTexts(t, cs)
		}
	})
}

// slowly receives n messages, one each 900 ms.
func slowly(s interface{ RecvMsg(any) error }, n int) error {
	for range n {
		elapse(900 * time.Millisecond)
		if out, err := recvText(s); err != nil || out != kilo.Value {
			return errors.Join(err, errors.New("lost one"))
		}
	}
	_, err := recvText(s)
	return err
}

func TestP50SlowConsumerLosesNothing(t *testing.T) {
	const n = 100
	t.Run("server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			got := make(chan error, 1)
			r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(3000, 6000), withStream("slow", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
				got <- slowly(ss, n)
				return nil
			})))
			cs := open(t, bg, r.client(), both, "slow", nil)
			for range n {
				check(t, cs.SendMsg(kilo))
			}
			check(t, cs.CloseSend())
			wantExactly(t, <-got, io.EOF)
			wantTexts(t, cs)
		})
	})
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := rawServer(t, "pipe", ttrpc.WithClientStreamBuffer(3000, 6000))
			go func() {
				id := p.recv().id
				for range n {
					p.send(data(id, 0, kilo.Value))
				}
				p.send(closing(id))
			}()
			wantExactly(t, slowly(open(t, bg, c, both, "slow", nil), n), io.EOF)
		})
	})
}

// A message in the Request does not make the consumer look as if it had been stuck for ever.
func TestP50FirstMessageStartsTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(3000, 6000), withStream("late", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
			elapse(900 * time.Millisecond)
			return chat(context.Background(), ss)
		})))
		elapse(50 * 365 * 24 * time.Hour) // the bubble's time begins long before ours: clock was below zero there
		cs := open(t, bg, r.client(), both, "late", kilo)
		for range 10 {
			check(t, cs.SendMsg(kilo))
		}
		check(t, cs.CloseSend())
		for range 11 {
			wantNext(t, cs, kilo.Value)
		}
		wantTexts(t, cs)
	})
}

func TestP51StuckStreamFailsAlone(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan error, 3)
			r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(3000, 6000), withStream("stuck", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
				<-ctx.Done()
				ended <- ctx.Err()
				_, err := recvText(ss)
				ended <- err
				ended <- ss.SendMsg(text("x"))
				return errors.New("unheard")
			})))
			p := r.raw()
			p.send(opening(1, "stuck"), opening(3, "chat"))
			start := time.Now()
			for range 3 {
				p.send(data(1, 0, kilo.Value)) // the third finds no room and waits
			}
			p.wantStatus(1, codes.ResourceExhausted, "ttrpc: stream buffer full")
			equal(t, time.Since(start), time.Second)
			wantExactly(t, <-ended, context.Canceled)
			wantExactly(t, <-ended, ttrpc.ErrStreamFull)
			wantExactly(t, <-ended, ttrpc.ErrStreamFull)
			p.send(data(1, 0, "x"))
			p.wantStatus(1, codes.InvalidArgument, "StreamID is no longer active")
			p.send(data(3, 0, "other"))
			p.want(data(3, 0, "other"))
			p.wantUsable(5)
		})
	})
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := rawServer(t, "pipe", ttrpc.WithClientStreamBuffer(3000, 6000))
			go func() { p.recv(); p.recv() }()
			stuck, other := open(t, bg, c, both, "stuck", nil), open(t, bg, c, both, "other", nil)
			start := time.Now()
			for range 3 {
				p.send(data(1, 0, kilo.Value))
			}
			p.send(data(1, 0, kilo.Value), data(3, 1, "a")) // the reader has gone on
			equal(t, time.Since(start), time.Second)
			_, err := recvText(stuck)
			wantExactly(t, err, ttrpc.ErrStreamFull)
			wantExactly(t, stuck.SendMsg(text("x")), ttrpc.ErrStreamFull)
			_, err = recvText(stuck)
			wantExactly(t, err, ttrpc.ErrStreamFull)
			wantTexts(t, other, "a")
			result := goCall(bg, c, "echo", "x")
			p.recv()
			p.send(answer(5, "x"))
			check(t, <-result)
		})
	})
}

// The second has usually passed when the buffer fills: then nobody waits.
func TestP51LongStuckStreamFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(3000, 6000))
		c := r.client()
		cs := unread(t, c, 2)
		elapse(2 * time.Second)
		start := time.Now()
		check(t, cs.SendMsg(kilo))
		wantEcho(t, c)
		equal(t, time.Since(start), 50*time.Millisecond) // awake, for the sake of processes that stood still
		_, err := recvText(cs)
		wantStatus(t, err, codes.ResourceExhausted, "ttrpc: stream buffer full")
	})
}

// The connection's buffer is full: the stream whose consumer has been idle for longest goes, the others lose nothing.
func TestP51FullConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan error, 1)
		r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(4000, 5000), withStream("slow", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
			got <- slowly(ss, 20)
			return nil
		})))
		c := r.client()
		stuck := unread(t, c, 3)
		elapse(500 * time.Millisecond)
		slow := open(t, bg, c, both, "slow", nil)
		for range 20 {
			check(t, slow.SendMsg(kilo))
		}
		check(t, slow.CloseSend())
		_, err := recvText(stuck)
		wantStatus(t, err, codes.ResourceExhausted, "ttrpc: stream buffer full")
		wantExactly(t, <-got, io.EOF)
	})
}

// Nobody reads an endless stream: at either side it ends in ErrStreamFull, for itself alone.
func TestP51EndlessUnreadStreams(t *testing.T) {
	r := serve(t)
	c := r.client(ttrpc.WithClientStreamBuffer(1<<20, 4<<20))
	flooded := open(t, bg, c, down, "flood", text(""))
	sender := open(t, bg, c, both, "mute", nil)
	ended := make(chan error, 1)
	go func() {
		for {
			if err := sender.SendMsg(kilo); err != nil {
				ended <- err
				return
			}
		}
	}()
	wantExactly(t, wait(t, ended, "the sender's end"), ttrpc.ErrStreamClosed)
	_, err := recvText(sender)
	wantStatus(t, err, codes.ResourceExhausted, "ttrpc: stream buffer full")
	for range 50 {
		wantEcho(t, c)
	}
	for err = nil; err == nil; {
		_, err = recvText(flooded) // what it received first may be read, or it has failed already
	}
	wantExactly(t, err, ttrpc.ErrStreamFull)
	wantEcho(t, c)
}

// A handler that sends without end leaves room for others: with one processor, too, where it is always first to find
// room in the backlog. Its client reads along, or not.
func TestP52EndlessStreamStarvesNobody(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, reads := range []bool{true, false} {
		c := serve(t).client(ttrpc.WithClientStreamBuffer(1<<20, 4<<20))
		cs := open(t, bg, c, down, "flood", text(""))
		if reads {
			go func() {
				for err := error(nil); err == nil; {
					_, err = recvText(cs)
				}
			}()
		}
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		defer cancel()
		for range 5 {
			out, err := call(ctx, c, "echo", "x")
			check(t, err)
			equal(t, out, "x")
		}
	}
}

// The same for a client that sends without end: its own calls beside that get their turn.
func TestP52EndlessSenderStarvesNobody(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c := serve(t, withStream("sink", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
		for {
			if _, err := recvText(ss); err != nil {
				return err
			}
		}
	}))).client()
	sending, stop := context.WithCancel(bg)
	defer stop()
	cs := open(t, sending, c, both, "sink", nil)
	go func() {
		for cs.SendMsg(kilo) == nil {
		}
	}()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	for range 5 {
		out, err := call(ctx, c, "echo", "x")
		check(t, err)
		equal(t, out, "x")
		wantTexts(t, open(t, ctx, c, down, "list", text("2")), "0", "1")
	}
}

func TestP52UnreadAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		r := serve(t, network("pipe"), ttrpc.WithServerWriteBacklog(10_000), withStream("counted", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
			for ; sent < 1000; sent++ {
				if err := ss.SendMsg(kilo); err != nil {
					return err
				}
			}
			return nil
		})))
		p := r.raw()
		p.send(requestOf(1, 1, &ttrpc.Request{Service: svc, Method: "counted"}))
		synctest.Wait()
		if sent < 5 || sent > 30 {
			t.Errorf("%d messages are sent while none is read", sent)
		}
		written := make(chan struct{})
		go func() { // the connection is not read either, but for what was under way
			for id := uint32(3); id < 10_003; id += 2 {
				p.send(request(id, "echo", "x"))
			}
			close(written)
		}()
		synctest.Wait()
		select {
		case <-written:
			t.Error("requests are read while answers are not")
		default:
		}
		wantEcho(t, r.client())
		answers, messages, ended := 0, 0, false
		for answers < 5000 || !ended {
			switch f := p.recv(); {
			case f.typ == 2:
				answers++
			case f.flags == 0:
				messages++
			default:
				ended = true
			}
		}
		<-written
		equal(t, messages, 1000)
	})
}

// Requests that came in one read are bound like others, also where the reader runs them itself.
func TestP52RequestsOfOneRead(t *testing.T) {
	const size, calls, backlog = 300 << 10, 10, 300_000
	const socket = 8 << 20 // more than it holds, much less than all answers
	large := text(strings.Repeat("x", size))
	var run, read, most atomic.Int64
	r := serve(t, ttrpc.WithServerMaxCalls(calls), ttrpc.WithServerWriteBacklog(backlog), withMethod("large", func(context.Context, func(any) error) (any, error) {
		n := (run.Add(1) - read.Load()) * size
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		return large, nil
	}))
	p := r.raw()
	p.wantUsable(1)
	var burst []rawFrame
	for i := range uint32(250) { // 8 KiB
		burst = append(burst, request(3+2*i, "large", ""))
	}
	ttrpc.ForceInline(r.Server)
	p.send(burst...)
	p.peek()
	elapse(100 * time.Millisecond) // in which the server does what it may while nobody reads
	for range burst {
		f := p.recv()
		switch codes.Code(f.response(t).GetStatus().GetCode()) {
		case codes.OK:
			read.Add(1)
		case codes.ResourceExhausted:
		default:
			t.Fatal("not wanted:", f)
		}
	}
	if bound := int64(socket + backlog + (calls+2)*size); most.Load() > bound {
		t.Errorf("%d bytes were kept, more than %d", most.Load(), bound)
	}
}

// A call that is handed to a worker while the backlog is full begins when there is space again.
func TestP52CallsHandedOutBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large, small := newGate(), newGate()
		p := serve(t, network("pipe"), withMethod("large", large.unary()), withMethod("small", small.unary())).raw()
		p.send(request(1, "large", strings.Repeat("x", 3<<20)))
		synctest.Wait() // the reader has found space, and waits for a frame
		large.open()
		synctest.Wait()
		p.send(request(3, "small", "x"))
		synctest.Wait()
		equal(t, len(small.started), 0)
		equal(t, len(p.recv().response(t).GetPayload()) > 3<<20, true)
		small.open()
		p.want(answer(3, "x"))
		equal(t, len(small.started), 1)
	})
}

// A handler that waits for the backlog is let go by its deadline, and by the end of the connection.
func TestP52SendMsgEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		r := serve(t, network("pipe"), ttrpc.WithServerWriteBacklog(1000), withStream("endless", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
			for {
				if err := ss.SendMsg(kilo); err != nil {
					ended <- err
					return err
				}
			}
		})))
		p := r.raw()
		p.send(requestOf(1, 1, &ttrpc.Request{Service: svc, Method: "endless", TimeoutNano: int64(time.Second)}))
		wantExactly(t, <-ended, context.DeadlineExceeded)
		p = r.raw()
		p.send(requestOf(1, 1, &ttrpc.Request{Service: svc, Method: "endless"}))
		synctest.Wait()
		p.Close()
		err := <-ended
		if !errors.Is(err, ttrpc.ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Error("SendMsg on a closed connection:", err)
		}
	})
}

func TestP53CallsInFlight(t *testing.T) {
	g := newGate()
	p := serve(t, ttrpc.WithServerMaxCalls(2), withMethod("gated", g.unary()), withStream("gatedStream", g.stream())).raw()
	p.send(request(1, "gated", "a"), opening(3, "gatedStream"), request(5, "echo", "x"), opening(7, "chat"))
	p.wantStatus(5, codes.ResourceExhausted, "ttrpc: more than 2 calls in flight")
	p.wantStatus(7, codes.ResourceExhausted, "ttrpc: more than 2 calls in flight")
	g.open()
	p.wantAnswer(1, "a")
	p.wantUsable(9)
}

func TestP53BytesOfRequests(t *testing.T) {
	g := newGate()
	p := serve(t, ttrpc.WithServerRequestBuffer(1000), withMethod("gated", g.unary())).raw()
	p.send(request(1, "gated", strings.Repeat("x", 2000)), request(3, "echo", "x"))
	p.wantStatus(3, codes.ResourceExhausted, "ttrpc: requests in flight exceed 1000 bytes")
	g.open()
	p.wantAnswer(1, strings.Repeat("x", 2000))
	p.wantUsable(5)
}

func TestP53Connections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"), ttrpc.WithServerMaxConns(2))
		first, second := r.raw(), r.raw()
		first.wantUsable(1)
		second.wantUsable(1)
		third := make(chan *rawPeer)
		go func() { third <- r.raw() }()
		synctest.Wait()
		select {
		case <-third:
			t.Fatal("a third connection was accepted")
		default:
		}
		first.Close()
		(<-third).wantUsable(1)
		second.wantUsable(3)
	})
}

// waitingHandshake takes until the peer has sent a byte, or its context or its connection's deadline ends.
type waitingHandshake struct{ byContext bool }

func (h waitingHandshake) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	if h.byContext {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	_, err := conn.Read(make([]byte, 1))
	return conn, nil, err
}

func TestP53Handshakes(t *testing.T) {
	for name, opts := range map[string][]any{
		"default": {ttrpc.WithServerHandshaker(waitingHandshake{})},
		"context": {ttrpc.WithServerHandshaker(waitingHandshake{byContext: true})},
		"option":  {ttrpc.WithServerHandshaker(waitingHandshake{}), ttrpc.WithServerHandshakeTimeout(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, append(opts, network("pipe"))...)
				want := 30 * time.Second
				if name == "option" {
					want = time.Hour
				}
				silent, start := r.conn(), time.Now()
				if name != "context" {
					other := r.raw()
					_, err := other.Write([]byte{0})
					check(t, err)
					other.wantUsable(1)
				}
				_, err := silent.Read(make([]byte, 1))
				wantExactly(t, err, io.EOF)
				equal(t, time.Since(start), want)
			})
		})
	}
}

// An idle connection: one goroutine at either side.
func TestP54IdleConnections(t *testing.T) {
	const conns = 20
	use := func(clients []*ttrpc.Client) {
		for _, c := range clients {
			wantEcho(t, c)
			check(t, open(t, bg, c, both, "chat", nil).CloseSend())
		}
		for _, c := range clients {
			wantEcho(t, c)
		}
	}
	t.Run("after a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := onPipe(t)
			before := libraryGoroutines() // Serve
			var clients []*ttrpc.Client
			for range conns {
				clients = append(clients, pipeClient(t, r))
			}
			use(clients)
			elapse(10 * time.Second) // goroutines that have run handlers end
			equal(t, libraryGoroutines()-before, 2*conns)
		})
	})
	for _, transport := range []network{"unix", "tcp"} {
		t.Run(string(transport), func(t *testing.T) {
			r := serve(t, transport)
			var clients []*ttrpc.Client
			for range conns {
				clients = append(clients, r.client())
			}
			use(clients)
			const others = conns / 2 // Serve, and goroutines that have run handlers, one at a time
			all := goroutines("containerd/ttrpc.")
			if len(all) < 2*conns || len(all) > 2*conns+others {
				t.Errorf("%d goroutines:\n%s", len(all), strings.Join(all, "\n\n"))
			}
		})
	}
}

func TestP55UsedIds(t *testing.T) {
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
