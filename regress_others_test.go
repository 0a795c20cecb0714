//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// What users have reported of cancellation, flow control and shutdowns elsewhere.

// grpc-go 632: streams that were cancelled with messages on their way kept their share of the
// connection's window, and after some hundred of them nothing was sent any more.
func TestGRPCIssue632CancelledStreamsGiveTheirShareBack(t *testing.T) {
	buffers := []any{ttrpc.WithClientStreamBuffer(16*kib, 64*kib), ttrpc.WithServerStreamBuffer(16*kib, 64*kib)}
	r := serve(t, append(buffers, ttrpc.WithClientStreamWindow(4*kib), ttrpc.WithServerStreamWindow(4*kib))...)
	c := r.client()
	wantEcho(t, c)
	wantEcho(t, c)
	for range 300 {
		ctx, cancel := context.WithCancel(bg)
		cs := open(t, ctx, c, down, "flood", text("x"))
		wantNext(t, cs, strings.Repeat("f", 1000), strings.Repeat("f", 1000))
		cancel()
	}
	up := open(t, bg, c, both, "mute", nil) // whose handler reads nothing
	for range 3 {
		check(t, up.SendMsg(text("x")))
	}
	cs := open(t, bg, c, down, "list", text("1000"))
	for i := range 1000 {
		wantNext(t, cs, fmt.Sprint(i))
	}
	wantTexts(t, cs)
}

// dubbo 16443: a message larger than the window was waited for without an end by both sides.
func TestDubboIssue16443MessageLargerThanTheWindow(t *testing.T) {
	r := serve(t, ttrpc.WithServerStreamWindow(1), ttrpc.WithServerStreamBuffer(1, 1))
	c := r.client(ttrpc.WithClientStreamWindow(1), ttrpc.WithClientStreamBuffer(1, 1))
	wantEcho(t, c)
	wantEcho(t, c)
	large := strings.Repeat("x", 1<<20)
	cs := open(t, bg, c, both, "chat", nil)
	for range 10 {
		check(t, cs.SendMsg(text(large)))
		wantNext(t, cs, large)
	}
	check(t, cs.CloseSend())
	wantTexts(t, cs)
}

// grpc-go 6805: of several goroutines that waited to send on one stream some were never woken.
func TestGRPCIssue6805AllSendersAreWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipePair(t)
		c := ttrpc.NewClient(near, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed))
		t.Cleanup(func() { c.Close() })
		p := newRawPeer(t, far)
		cs := open(t, bg, c, both, "chat", nil)
		p.recv()
		p.want(hello(1))
		p.send(window(1, 0))
		synctest.Wait()
		const senders = 50
		var all sync.WaitGroup
		for range senders {
			all.Go(func() {
				if err := cs.SendMsg(text("x")); err != nil {
					t.Error(err)
				}
			})
		}
		for sent := range uint64(senders) {
			synctest.Wait()
			p.send(window(1, sent*uint64(len(data(1, 0, "x").bytes()))+1)) // room for one more
			p.wantData(1, "x")
		}
		all.Wait()
	})
}

// js-libp2p-yamux 91: a window was raised for a stream that both sides had closed.
func TestYamuxIssue91NoWindowForAStreamThatHasEnded(t *testing.T) {
	c, p := known(t, ttrpc.WithClientStreamWindow(4*kib))
	cs := open(t, bg, c, both, "chat", nil)
	f, _ := p.recvRequest()
	for range 3 {
		p.send(data(f.id, 0, of(kib)))
	}
	p.wantWindow(f.id) // while it goes on
	p.send(closing(f.id))
	wantAnswered(t, c, p) // which is behind the end
	wantTexts(t, cs, of(kib), of(kib), of(kib))
	check(t, cs.CloseSend())
	wantAnswered(t, c, p) // and no frame before
}

// httpcore 1054: where the server closed right behind its GoAway, calls above the last id got the
// error of the end, and could not be repeated; and the call of the last id itself was taken for one
// that was not begun.
func TestHTTPCoreIssue1054EndRightBehindGoAway(t *testing.T) {
	for range 50 {
		c, p := known(t)
		last := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		above := goCall(bg, c, "echo", "x")
		p.recvRequest()
		p.send(goAway(f.id))
		p.Close()
		err := wait(t, above, "the call above the last id")
		wantNotBegun(t, err)
		err = wait(t, last, "the call of the last id")
		wantIs(t, err, ttrpc.ErrClosed)
		equal(t, ttrpc.NotSent(err), false)
	}
}

// nghttp2 681: messages of a stream that had crossed the GoAway ended the connection, and with it
// the streams that were to be finished.
func TestNGHTTP2Issue681MessagesOfAStreamThatIsRefused(t *testing.T) {
	r := serve(t)
	p := r.greeted()
	p.send(opening(3, "chat"), data(3, 0, "x"))
	p.wantData(3, "x")
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(bg) }()
	p.want(goAway(3))
	p.send(opening(5, "chat"), data(5, 0, "y"), window(5, 10), closing(5), cancel(5))
	p.wantStatus(5, codes.Unavailable, "ttrpc: server closed")
	p.wantStatus(5, codes.InvalidArgument, "StreamID is no longer active")
	p.wantStatus(5, codes.InvalidArgument, "StreamID is no longer active")
	p.send(data(3, 0, "z"), closing(3))
	p.wantData(3, "z")
	p.want(closing(3))
	p.wantEnd()
	check(t, wait(t, done, "Shutdown"))
}

// gazette 266: a client that read its stream no more kept the server from ending, whatever the
// patience of the one who shut it down.
func TestGazetteIssue266ShutdownBesideAStreamThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		r := onPipe(t, waiters(ended))
		p := newRawPeer(t, pipeTo(t, r))
		p.send(opening(1, "sends"), hello(1), window(1, 0))
		synctest.Wait()
		ctx, cancel := context.WithCancel(bg)
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(ctx) }()
		synctest.Wait()
		equal(t, len(done), 0)
		cancel()
		wantExactly(t, <-done, context.Canceled)
		check(t, r.Close())
		wantExactly(t, <-ended, context.Canceled)
		check(t, r.Shutdown(bg))
	})
}

// tempesta 1346, and others: pings whose answers nobody reads piled up in the server, or the
// client.
func TestTempestaIssue1346PingsWhoseAnswersNobodyReads(t *testing.T) {
	const backlog = 10 * kib
	flood := func(p *rawPeer) {
		go func() {
			b := rawFrame{id: 2001, typ: 4, data: make([]byte, 64)}.bytes()
			for {
				if _, err := p.Write(b); err != nil {
					return
				}
			}
		}()
	}
	settled := func(t *testing.T, look func() ttrpc.Snapshot) {
		synctest.Wait()
		if conns := look().Conns; len(conns) != 1 || conns[0].Backlog > backlog+100 {
			t.Errorf("%+v", conns)
		}
	}
	t.Run("server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := onPipe(t, ttrpc.WithServerWriteBacklog(backlog))
			p := newRawPeer(t, pipeTo(t, r))
			p.send(request(1, "echo", "x"), hello(1))
			p.wantAnswer(1, "x")
			flood(p)
			settled(t, r.Snapshot)
			p.Close()
		})
	})
	t.Run("client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := pipePair(t)
			c := ttrpc.NewClient(near, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed), ttrpc.WithClientWriteBacklog(backlog))
			t.Cleanup(func() { c.Close() })
			p := newRawPeer(t, far)
			for range 10_000 { // it reads on, and answers no more
				p.send(rawFrame{id: 2001, typ: 4, data: make([]byte, 64)})
			}
			settled(t, c.Snapshot)
			p.Close()
		})
	})
}

// ttrpc 231: the context of a stream's handler did not end with it, and what waited for that
// stayed for as long as the connection.
func TestTTRPCIssue231ContextEndsWithTheStream(t *testing.T) {
	left := make(chan error, 3)
	r := serve(t, withStream("leave", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
		go func() { <-ctx.Done(); left <- ctx.Err() }()
		go func() {
			m := new(message)
			if err := ss.RecvMsg(m); err == nil || err == io.EOF {
				err = fmt.Errorf("RecvMsg returns %v", err)
				left <- err
			} else {
				left <- context.Canceled
			}
		}()
		return nil
	})))
	c := r.client()
	wantTexts(t, open(t, bg, c, both, "leave", nil))
	for range 2 {
		wantExactly(t, wait(t, left, "the one that was left behind"), context.Canceled)
	}
	wantEcho(t, c)
}
