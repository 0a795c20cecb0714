//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/containerd/ttrpc"
)

// One test for each fault that users of the original have met. Issue numbers are those of containerd/ttrpc, or
// of the project that the test's name has before the number.

// Hangs.

// A send to a peer that has stopped reading returned with the peer, not with its context, and so did all later calls.
func TestIssue174SendOutlivesContext(t *testing.T) {
	c, p := rawServer(t, "unix")
	ctx, cancel := context.WithCancel(bg)
	first := goCall(ctx, c, "echo", strings.Repeat("x", 4_000_000))
	p.peek() // and no further: its write is stuck
	cancel()
	wantExactly(t, wait(t, first, "the stuck call"), context.Canceled)
	for range 10 {
		ctx, cancel := context.WithTimeout(bg, 5*time.Millisecond)
		_, err := call(ctx, c, "echo", strings.Repeat("x", 200_000))
		wantExactly(t, err, context.DeadlineExceeded)
		_, err = c.NewStream(ctx, both, svc, "chat", nil)
		wantExactly(t, err, context.DeadlineExceeded)
		cancel()
	}
	last := goCall(bg, c, "echo", "x")
	for f, req := p.recvRequest(); ; f, req = p.recvRequest() {
		p.send(answer(f.id, "x"))
		if len(req.Payload) == len(encode(text("x"))) {
			break
		}
	}
	check(t, wait(t, last, "a call once the peer reads"))
}

// Client and server were both blocked in a write, each waiting for the other to read (also issues 94 and 168).
func TestIssue72BothSidesBlockedInWrite(t *testing.T) {
	for _, transport := range []network{"pipe", "unix"} {
		c := serve(t, transport).client()
		large := strings.Repeat("x", 300_000)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					if out, err := call(bg, c, "echo", large); err != nil || out != large {
						t.Error(len(out), err)
					}
				}
			})
		}
		wg.Wait()
	}
}

// One stream that nobody reads stalled every call of its connection, and then failed with its handler left hanging.
func TestIssue229UnreadStreamStallsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"))
		c := r.client()
		cs := open(t, bg, c, down, "list", text("1000"))
		sender := unread(t, c, 1000)
		start := time.Now()
		for range 10 {
			wantEcho(t, c)
		}
		elapse(5 * time.Second)
		wantEcho(t, c)
		equal(t, time.Since(start), 5*time.Second)
		for i := range 1000 {
			wantNext(t, cs, fmt.Sprint(i))
		}
		wantTexts(t, cs)
		check(t, sender.CloseSend())
	})
}

// A reader that pauses for 5 s before 50,000 messages gets all of them, and calls beside it go on at once.
func TestIssue229PausingReaderLosesNothing(t *testing.T) {
	const n = 50_000
	m := strings.Repeat("m", 100)
	synctest.Test(t, func(t *testing.T) {
		sent := false
		r := serve(t, network("pipe"), withStream("many", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
			for range n {
				if err := ss.SendMsg(text(m)); err != nil {
					return err
				}
			}
			sent = true
			return nil
		})))
		c := r.client()
		cs := open(t, bg, c, down, "many", nil)
		synctest.Wait()
		if !sent {
			t.Error("the handler waits for the reader")
		}
		start := time.Now()
		for range 10 {
			wantEcho(t, c)
			equal(t, time.Since(start).Truncate(500*time.Millisecond), time.Since(start))
			elapse(500 * time.Millisecond)
		}
		for range n {
			wantNext(t, cs, m)
		}
		wantTexts(t, cs)
	})
}

// A timeout did not cover the time in the outbound queue (containerd/ttrpc-rust).
func TestTTRPCRust317TimeoutCoversTheQueue(t *testing.T) {
	c, p := rawServer(t, "unix", ttrpc.WithClientWriteBacklog(1000))
	goCall(bg, c, "echo", strings.Repeat("x", 4_000_000))
	p.peek()
	ctx, cancel := context.WithTimeout(bg, 5*time.Millisecond)
	defer cancel()
	_, err := call(ctx, c, "echo", "x")
	wantExactly(t, err, context.DeadlineExceeded)
}

// The last frame of a stream overtook the one before it (containerd/ttrpc-rust).
func TestTTRPCRust312LastFrameInOrder(t *testing.T) {
	last := ttrpc.Stream{StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
		for i := range 20 {
			if err := ss.SendMsg(text(fmt.Sprint(i))); err != nil {
				return nil, err
			}
		}
		return text("last"), nil
	}}
	c := serve(t, withStream("last", last)).client()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 5 {
				cs, err := c.NewStream(bg, down, svc, "last", nil)
				var all []string
				for err == nil {
					var out string
					if out, err = recvText(cs); err == nil {
						all = append(all, out)
					}
				}
				if len(all) != 21 || all[20] != "last" || all[19] != "19" || !errors.Is(err, io.EOF) {
					t.Error(all, err)
				}
			}
		})
	}
	wg.Wait()
}

// A peer that says nothing in its handshake stopped all accepts.
func TestSilentHandshakeStopsNoAccepts(t *testing.T) {
	r := serve(t, ttrpc.WithServerHandshaker(waitingHandshake{}))
	for range 10 {
		r.raw() // silent
	}
	p := r.raw()
	_, err := p.Write([]byte{0})
	check(t, err)
	p.wantUsable(1)
}

// Crashes.

// Two frames killed a server: a Request, and Data for it while it ran.
func TestDataOnUnaryStreamCrashesServer(t *testing.T) {
	r := serve(t)
	for range 50 {
		p := r.raw()
		p.send(request(1, "hold", ""), data(1, 0, "x"), data(1, 5, ""))
		p.wantStatus(1, codes.InvalidArgument, "data handling error: not a streaming call")
		p.wantStatus(1, codes.InvalidArgument, "StreamID is no longer active")
		p.wantUsable(3)
	}
	wantEcho(t, r.client())
}

// Data for a stream that had ended killed servers v1.2.0 to v1.2.7.
func TestContainerd12977DataForUnknownStream(t *testing.T) {
	p := serve(t).raw()
	for id := uint32(1); id < 100; id += 2 {
		p.send(opening(id, "chat"), closing(id))
		p.want(closing(id))
		p.send(data(id, 0, "x"))
		p.wantStatus(id, codes.InvalidArgument, "StreamID is no longer active")
	}
	p.wantUsable(101)
}

// A reply over 4 MiB crashed clients v1.0 and v1.1.
func TestContainerd6247ReplyOverLimit(t *testing.T) {
	c, p := rawServer(t, "unix")
	other, result := goCall(bg, c, "echo", "x"), goCall(bg, c, "echo", "x")
	p.recv()
	p.recv()
	p.send(rawFrame{id: 3, typ: 2, data: make([]byte, 5<<20)}, answer(1, "x"))
	first, second := wait(t, other, "call"), wait(t, result, "call")
	if first != nil {
		first, second = second, first
	}
	check(t, first)
	wantStatus(t, second, codes.ResourceExhausted, "message length 5242880 exceed maximum message size of 4194304")
}

// The metadata map was shared through the context, and interceptors changed it while calls read it
// (also containerd 11138 and 3504).
func TestIssue194ConcurrentMetadata(t *testing.T) {
	change := func(ctx context.Context) {
		md, _ := ttrpc.GetMetadata(ctx)
		md.Set("key", "changed")
		md.Append("more", "x")
	}
	c := serve(t,
		ttrpc.WithUnaryServerInterceptor(func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			go change(ctx)
			return m(ctx, u)
		}),
		withMethod("look", unary(func(ctx context.Context, _ string) (string, error) {
			value, _ := ttrpc.GetMetadataValue(ctx, "key")
			return value, nil
		})),
		ttrpc.WithUnaryClientInterceptor(func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			change(ctx)
			req.Metadata = append(req.Metadata, &ttrpc.KeyValue{Key: "more", Value: "y"})
			return invoke(ctx, req, resp)
		})).client()
	md := ttrpc.MD{"key": {"value"}}
	ctx := ttrpc.WithMetadata(bg, md)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if out, err := call(ctx, c, "look", ""); err != nil || out != "value" {
					t.Error(out, err)
				}
			}
		})
	}
	for i := range 1000 {
		md.Set("key", fmt.Sprint(i)) // the context has its own
	}
	wg.Wait()
}

// gogo reflected over google.rpc.Status and panicked when a call of its messages failed.
func TestIssue62StatusBesideGogoMessages(t *testing.T) {
	detail, err := anypb.New(text("detail"))
	check(t, err)
	st, err := status.New(codes.Aborted, "oh").WithDetails(detail)
	check(t, err)
	c := serve(t, withMethod("fails", func(_ context.Context, unmarshal func(any) error) (any, error) {
		in := new(sizedMessage)
		if err := unmarshal(in); err != nil {
			return nil, err
		}
		if in.text == "x" {
			return nil, st.Err()
		}
		return in, nil
	})).client()
	out := new(sizedMessage)
	err = c.Call(bg, svc, "fails", &sizedMessage{text: "x"}, out)
	wantStatus(t, err, codes.Aborted, "oh")
	got, _ := status.FromError(err)
	equal(t, len(got.Details()), 1)
	check(t, c.Call(bg, svc, "fails", &sizedMessage{text: "y"}, out))
	equal(t, out.text, "y")
}

func TestIssue51HandlerReturnsNil(t *testing.T) {
	for name, result := range map[string]any{"nil": nil, "typed nil": (*message)(nil)} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, withMethod("nil", func(context.Context, func(any) error) (any, error) { return result, nil })).client()
			_, err := call(bg, c, "nil", "")
			wantStatus(t, err, codes.Unknown, "ttrpc: marshal called with nil")
			wantEcho(t, c)
		})
	}
}

// Limits.

func TestIssue172LimitIsConfigurable(t *testing.T) {
	const limit = 1<<24 - 1
	large := strings.Repeat("x", limit-100)
	r := serve(t, ttrpc.WithServerMaxRecvMsgSize(limit), ttrpc.WithServerMaxSendMsgSize(limit))
	c := r.client(ttrpc.WithClientMaxRecvMsgSize(limit), ttrpc.WithClientMaxSendMsgSize(limit))
	out, err := call(bg, c, "echo", large)
	check(t, err)
	equal(t, len(out), len(large))
	cs := open(t, bg, c, both, "chat", text(large))
	out, err = recvText(cs)
	check(t, err)
	equal(t, len(out), len(large))
}

// A reply over the limit closed the connection, with all its other calls.
func TestOversizedReplyCostsOneCall(t *testing.T) {
	g := newGate()
	c := serve(t, ttrpc.WithServerMaxSendMsgSize(1000), withMethod("gated", g.unary())).client()
	var others []<-chan error
	for range 5 {
		others = append(others, goCall(bg, c, "gated", "x"))
		wait(t, g.started, "call")
	}
	_, err := call(bg, c, "echo", strings.Repeat("x", 2000))
	equal(t, status.Code(err), codes.ResourceExhausted)
	g.open()
	for _, other := range others {
		check(t, wait(t, other, "another call"))
	}
}

// Shutdown and leaks.

// A connection that had been idle was closed under the call that it got then.
func TestShutdownWaitsForCallAfterIdleness(t *testing.T) {
	g := newGate()
	r := serve(t, withMethod("gated", g.unary()))
	c := r.client()
	wantEcho(t, c)
	result := goCall(bg, c, "gated", "x")
	wait(t, g.started, "call")
	shut := make(chan error, 1)
	go func() { shut <- r.Shutdown(bg) }()
	wait(t, r.served, "Serve")
	g.open()
	check(t, wait(t, result, "the call in flight"))
	check(t, wait(t, shut, "Shutdown"))
}

// Each rejected request counted the calls in flight down, below zero.
func TestRejectedRequestsKeepTheCount(t *testing.T) {
	g := newGate()
	r := serve(t, ttrpc.WithServerMaxRecvMsgSize(1000), withMethod("gated", g.unary()))
	p := r.raw()
	p.send(request(1, "gated", "x"))
	wait(t, g.started, "call")
	rejected := []rawFrame{
		request(3, "none", ""), requestOf(5, 0, &ttrpc.Request{Service: "none"}), request(2, "echo", ""), request(1, "echo", ""),
		data(7, 0, "x"), {id: 9, typ: 1, data: []byte{0xff}}, {id: 11, typ: 1, data: make([]byte, 2000)}, request(13, "fail", "x"),
	}
	for _, f := range rejected {
		p.send(f)
		p.recvResponse()
	}
	shut := make(chan error, 1)
	go func() { shut <- r.Shutdown(bg) }()
	wait(t, r.served, "Serve")
	g.open()
	p.wantAnswer(1, "x")
	check(t, wait(t, shut, "Shutdown"))
}

// Shutdown polled: it returned up to 200 ms after the last answer.
func TestShutdownReturnsWithTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"), withMethod("slow", unary(func(context.Context, string) (string, error) {
			elapse(1234567 * time.Nanosecond)
			return "", nil
		})))
		c := r.client()
		start := time.Now()
		result := goCall(bg, c, "slow", "")
		synctest.Wait()
		check(t, r.Shutdown(bg))
		equal(t, time.Since(start), 1234567)
		check(t, <-result)
	})
}

// Serve against an immediate Shutdown (also issue 175).
func TestIssue130ServeAgainstShutdown(t *testing.T) {
	for i := range 200 {
		s, err := ttrpc.NewServer()
		check(t, err)
		l := listen(t, "unix")
		served := make(chan error, 1)
		go func() { served <- s.Serve(bg, l) }()
		if i%2 == 0 {
			check(t, s.Shutdown(bg))
		} else {
			check(t, s.Close())
		}
		wantExactly(t, wait(t, served, "Serve"), ttrpc.ErrServerClosed)
		_, err = l.Accept()
		wantIs(t, err, net.ErrClosed)
	}
}

// The server's state raced with connections that came, worked and went.
func TestIssue129ConnectionsAgainstShutdown(t *testing.T) {
	for i := range 20 {
		r := serve(t, network("pipe"))
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				c := ttrpc.NewClient(r.conn())
				defer c.Close()
				for range 20 {
					if out, err := call(bg, c, "echo", "x"); err == nil && out != "x" {
						t.Error("wrong answer", out)
					} else if err != nil && !errors.Is(err, ttrpc.ErrClosed) && status.Code(err) != codes.Unavailable {
						t.Error(err)
					}
				}
			})
		}
		if i%2 == 0 {
			check(t, r.Shutdown(bg))
		}
		check(t, r.Close())
		check(t, r.Shutdown(bg))
		wg.Wait()
	}
}

// Descriptors leaked on reset and on EOF in mid-message (also issue 143, containerd 8308 and 8390,
// firecracker-containerd 749).
func TestIssue136DescriptorsLeak(t *testing.T) {
	r := serve(t, network("tcp"), ttrpc.WithServerMaxConns(3))
	wantEcho(t, r.client())
	before := openSockets()
	ways := []func(p *rawPeer){
		func(*rawPeer) {},
		func(p *rawPeer) { _ = p.Conn.(*net.TCPConn).SetLinger(0) },
		func(p *rawPeer) { _, _ = p.Write(make([]byte, 5)) },
		func(p *rawPeer) { p.send(rawFrame{id: 1, typ: 1, data: make([]byte, 100), claim: 1000}) },
		func(p *rawPeer) { p.send(request(1, "hold", "")) },
		func(p *rawPeer) { p.send(opening(1, "chat"), data(1, 0, "x")) },
		func(p *rawPeer) { p.send(request(1, "echo", strings.Repeat("x", 1<<20))) },
	}
	for _, way := range ways {
		for range 5 {
			p := r.raw()
			way(p)
			p.Close()
		}
		for range 5 {
			a, b := pair(t, "tcp")
			c := ttrpc.NewClient(a)
			result := goCall(bg, c, "echo", "x")
			p := newRawPeer(t, b)
			p.recv()
			way(p)
			p.Close()
			wait(t, result, "call")
			check(t, c.UserOnCloseWait(bg))
		}
	}
	eventually(t, "the sockets to be closed", func() bool { return openSockets() <= before })
	for range 2 {
		wantEcho(t, r.client()) // the server has forgotten all connections but the first
	}
}

// foreignContext hides that a context is one of the package context's own, which then waits for its end in a goroutine until told to stop.
type foreignContext struct{ context.Context }

func (foreignContext) Value(any) any { return nil }

// A goroutine and a map entry stayed for each stream (also issue 235).
func TestIssue231StreamsAreFreed(t *testing.T) {
	r := serve(t, ttrpc.WithServerMaxSendMsgSize(1000), ttrpc.WithServerMaxConns(1))
	c := r.client()
	wantEcho(t, c)
	ways := map[string]func(ctx context.Context, cancel func()){
		"ended": func(ctx context.Context, _ func()) {
			cs := open(t, ctx, c, both, "chat", nil)
			check(t, cs.CloseSend())
			wantTexts(t, cs)
		},
		"failed":    func(ctx context.Context, _ func()) { _, _ = recvText(open(t, ctx, c, both, "none", nil)) },
		"unread":    func(ctx context.Context, _ func()) { open(t, ctx, c, down, "list", text("3")) },
		"abandoned": func(ctx context.Context, cancel func()) { open(t, ctx, c, both, "mute", nil); cancel() },
		"cancelled call": func(ctx context.Context, cancel func()) {
			result := goCall(ctx, c, "hold", "")
			cancel()
			<-result
		},
		"failed send": func(ctx context.Context, cancel func()) {
			cs := open(t, ctx, c, both, "chat", nil)
			if cs.SendMsg("no message") == nil {
				t.Error("a string was sent")
			}
			cancel()
		},
		"late": func(ctx context.Context, cancel func()) { open(t, ctx, c, down, "flood", text("")); cancel() },
	}
	for name, way := range ways {
		for range 20 {
			ctx, cancel := context.WithCancel(bg)
			way(foreignContext{ctx}, cancel)
		}
		eventually(t, name+" calls to be forgotten", func() bool { return ttrpc.ClientLeftovers(c) == "" })
	}
	eventually(t, "the contexts' goroutines to end", func() bool { return len(goroutines("created by context.")) == 0 })
	eventually(t, "the client to be idle", func() bool { return len(goroutines("ttrpc.(*Client).")) <= 1 })
	check(t, c.Close())
	wantEcho(t, r.client()) // the server has forgotten the connection
}

// After a read error other than EOF a connection stayed open, and nobody read it.
func TestReadErrorLeavesConnectionOpen(t *testing.T) {
	a, b := pair(t, "unix")
	c, p := ttrpc.NewClient(a), newRawPeer(t, b)
	result := goCall(bg, c, "echo", "x")
	p.recv()
	check(t, a.SetReadDeadline(time.Now()))
	wantIs(t, wait(t, result, "call"), ttrpc.ErrClosed, os.ErrDeadlineExceeded)
	p.wantEnd()

	a, b = pair(t, "unix")
	serve(t, net.Listener(newOneListener(a)))
	p = newRawPeer(t, b)
	p.wantUsable(1)
	check(t, a.SetReadDeadline(time.Now()))
	p.wantEnd()
}

// The on-close callback was not ordered with the failing call (also issue 88).
func TestIssue87OnCloseOrder(t *testing.T) {
	for range 100 {
		var called atomic.Bool
		c, p := rawServer(t, "unix", ttrpc.WithOnClose(func() { called.Store(true) }))
		result := goCall(bg, c, "echo", "x")
		p.recv()
		p.Close()
		wantExactly(t, wait(t, result, "call"), ttrpc.ErrClosed)
		check(t, c.UserOnCloseWait(bg))
		if !called.Load() {
			t.Fatal("UserOnCloseWait did not wait")
		}
	}
}

// "ttrpc: closed" says nothing.

// Reset, EOF, broken pipe and local Close all read the same (also nri 292 and cri-o 3924).
func TestFirecrackerContainerd691CauseOfClosed(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(c *ttrpc.Client, p *rawPeer)
		cause error
	}{
		"EOF":   {func(_ *ttrpc.Client, p *rawPeer) { p.Close() }, io.EOF},
		"Close": {func(c *ttrpc.Client, _ *rawPeer) { c.Close() }, net.ErrClosed},
		"reset": {func(_ *ttrpc.Client, p *rawPeer) { _ = p.Conn.(*net.TCPConn).SetLinger(0); p.Close() }, syscall.ECONNRESET},
		"EOF in mid-frame": {func(_ *ttrpc.Client, p *rawPeer) {
			p.send(rawFrame{id: 1, typ: 2, claim: 9})
			p.Close()
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			c, p := rawServer(t, "tcp")
			check(t, c.Err())
			result := goCall(bg, c, "echo", "x")
			p.recv()
			test.end(c, p)
			wantIs(t, wait(t, result, "call"), ttrpc.ErrClosed)
			wantIs(t, c.Err(), ttrpc.ErrClosed, test.cause)
			if want := "ttrpc: closed: "; !strings.HasPrefix(c.Err().Error(), want) || len(c.Err().Error()) == len(want) {
				t.Error("it does not print its cause:", c.Err())
			}
		})
	}
}

// Every late reply of an abandoned call was logged as an error (also containerd 8981).
func TestIssue117LateRepliesAreSilent(t *testing.T) {
	var log logBuffer
	g := newGate()
	r := serve(t, withMethod("gated", g.unary()), withStream("gatedStream", g.stream()), ttrpc.WithServerLogger(log.logger()))
	c := r.client(ttrpc.WithClientLogger(log.logger()))
	ctx, cancel := context.WithCancel(bg)
	var results []<-chan error
	for range 50 {
		results = append(results, goCall(ctx, c, "gated", "x"))
		check(t, open(t, ctx, c, both, "gatedStream", text("a")).CloseSend())
	}
	for range 100 {
		wait(t, g.started, "call")
	}
	cancel()
	for _, result := range results {
		wantExactly(t, wait(t, result, "call"), context.Canceled)
	}
	g.open()
	check(t, r.Shutdown(bg)) // which is after the last answer
	check(t, c.UserOnCloseWait(bg))
	equal(t, log.String(), "")
}

// Streams are second class.

func TestIssue159StreamMetadataAndDeadline(t *testing.T) {
	look := bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
		value, _ := ttrpc.GetMetadataValue(ctx, "key")
		deadline, ok := ctx.Deadline()
		return ss.SendMsg(text(fmt.Sprint(value, " ", ok, " ", time.Until(deadline).Round(time.Hour))))
	})
	c := serve(t, withStream("look", look)).client()
	ctx, cancel := context.WithTimeout(ttrpc.WithMetadata(bg, ttrpc.MD{"key": {"value"}}), time.Hour)
	defer cancel()
	wantTexts(t, open(t, ctx, c, both, "look", nil), "value true 1h0m0s")
}

// Stream interceptors had types, and no option to install them (also issue 147).
func TestIssue148StreamInterceptors(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, s)
	}
	onServer := func(name string) ttrpc.StreamServerInterceptor {
		return func(ctx context.Context, ss ttrpc.StreamServer, info *ttrpc.StreamServerInfo, h ttrpc.StreamHandler) (any, error) {
			note(fmt.Sprint(name, info.FullMethod, info.StreamingClient, info.StreamingServer))
			return h(ctx, ss)
		}
	}
	onClient := func(name string) ttrpc.ClientStreamInterceptor {
		return func(ctx context.Context, desc *ttrpc.StreamDesc, service, method string, req any, open ttrpc.Streamer) (ttrpc.ClientStream, error) {
			note(name + method)
			return open(ctx, desc, service, method, req)
		}
	}
	c := serve(t, ttrpc.WithStreamServerInterceptor(onServer("s1")), ttrpc.WithChainStreamServerInterceptor(onServer("s2"), nil, onServer("s3"))).
		client(ttrpc.WithClientStreamInterceptor(onClient("c1"), nil, onClient("c2")), ttrpc.WithClientStreamInterceptor(onClient("c3")))
	wantTexts(t, open(t, bg, c, down, "list", text("1")), "0")
	mu.Lock()
	equal(t, fmt.Sprint(seen), "[c1list c2list c3list s1/test.Service/listfalse true s2/test.Service/listfalse true s3/test.Service/listfalse true]")
	mu.Unlock()
	wantEcho(t, c) // unary calls have none of them
	equal(t, len(seen), 6)
}

// An empty client-streaming Request lacked the no-data flag: Rust servers saw a bogus first message.
func TestTTRPCRust221NoDataFlag(t *testing.T) {
	c, p := rawServer(t, "unix")
	for _, desc := range []*ttrpc.StreamDesc{up, both} {
		open(t, bg, c, desc, "join", nil)
		f, req := p.recvRequest()
		equal(t, f.flags, 0x02|0x04)
		equal(t, len(req.Payload), 0)
	}
}

// An empty message is a message (also issue 157).
func TestIssue126EmptyMessages(t *testing.T) {
	c := serve(t).client()
	cs := open(t, bg, c, both, "chat", nil)
	for range 3 {
		check(t, cs.SendMsg(text("")))
	}
	check(t, cs.CloseSend())
	wantTexts(t, cs, "", "", "")
	cs = open(t, bg, c, up, "join", nil)
	check(t, cs.SendMsg(text("")))
	check(t, cs.CloseSend())
	wantTexts(t, cs, "[]")
}

// Cancellation.

// A client that gave up left the server working. The protocol has no frame for it, but the deadline travels, for
// streams too, and closing the connection ends all (also nri 90, containerd 13483, kata-containers 11382).
func TestNRI114ServerWorksOn(t *testing.T) {
	started, ended := make(chan struct{}, 4), make(chan error, 2)
	r := serve(t,
		withMethod("watch", unary(func(ctx context.Context, _ string) (string, error) {
			started <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return "", nil
		})),
		withStream("watchStream", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
			started <- struct{}{}
			_, err := recvText(ss) // which its context ends, too
			ended <- err
			return nil
		})))
	c := r.client()
	ctx, cancel := context.WithTimeout(bg, 300*time.Millisecond) // enough to get both there
	defer cancel()
	open(t, ctx, c, both, "watchStream", nil)
	_, _ = call(ctx, c, "watch", "") // whichever side notices first
	for range 2 {
		wantExactly(t, wait(t, ended, "handler"), context.DeadlineExceeded)
		wait(t, started, "handler's beginning")
	}
	open(t, bg, c, both, "watchStream", nil)
	goCall(bg, c, "watch", "")
	for range 2 {
		wait(t, started, "call")
	}
	check(t, c.Close())
	for range 2 {
		wantExactly(t, wait(t, ended, "handler"), context.Canceled)
	}
}

// Wishes.

// Sends are bounded: a peer that does not read costs its backlog, not memory without end (also issue 174).
func TestIssue3BoundedSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := rawServer(t, "pipe", ttrpc.WithClientWriteBacklog(10_000))
		go p.recv()
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		cs := open(t, ctx, c, both, "chat", nil)
		var sent atomic.Int32
		go func() {
			for range 100 {
				_ = cs.SendMsg(kilo)
				sent.Add(1)
			}
		}()
		synctest.Wait()
		if n := sent.Load(); n < 5 || n > 15 {
			t.Errorf("%d messages are sent, none of them read", n)
		}
		for range 100 {
			p.recv()
		}
		synctest.Wait()
		equal(t, sent.Load(), 100)
	})
}

// Codes stay those of gRPC: users switch on them (also issue 57).
func TestIssue54CodesAreGRPCs(t *testing.T) {
	c := serve(t).client()
	_, err := call(bg, c, "fail", "gone")
	equal(t, status.Code(err), codes.NotFound)
	equal(t, err.Error(), "rpc error: code = NotFound desc = gone")
	equal(t, status.Code(fmt.Errorf("around it: %w", err)), codes.NotFound)
}
