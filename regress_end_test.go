//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
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

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/testkit"
)

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
func TestTTRPCIssue130ServeAgainstShutdown(t *testing.T) {
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
func TestTTRPCIssue129ConnectionsAgainstShutdown(t *testing.T) {
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
func TestTTRPCIssue136DescriptorsLeak(t *testing.T) {
	r := serve(t, network("tcp"))
	wantEcho(t, r.client())
	before := testkit.OpenSockets()
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
	eventually(t, "the sockets to be closed", func() bool { return testkit.OpenSockets() <= before })
	eventually(t, "the server to forget its connections", func() bool { return ttrpc.ConnCount(r.Server) == 1 })
}

// foreignContext hides that a context is one of the package context's own, which then waits for its
// end in a goroutine until told to stop.
type foreignContext struct{ context.Context }

func (foreignContext) Value(any) any { return nil }

// A goroutine and a map entry stayed for each stream (also issue 235).
func TestTTRPCIssue231StreamsAreFreed(t *testing.T) {
	r := serve(t, ttrpc.WithServerMaxSendMsgSize(1000))
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
	eventually(t, "the contexts' goroutines to end", func() bool { return len(testkit.Goroutines("created by context.")) == 0 })
	eventually(t, "the client to be idle", func() bool { return len(testkit.Goroutines("ttrpc.(*Client).")) <= 1 })
	check(t, c.Close())
	eventually(t, "the server to forget the connection", func() bool { return ttrpc.ConnCount(r.Server) == 0 })
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
func TestTTRPCIssue87OnCloseOrder(t *testing.T) {
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

// Reset, EOF, broken pipe and local Close all read the same (also nri 292 and cri-o 3924).
func TestFirecrackerContainerdIssue691CauseOfClosed(t *testing.T) {
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
