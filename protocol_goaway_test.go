//go:build go1.25

package ttrpc_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

func goAway(last uint32) rawFrame {
	return rawFrame{typ: 0x43, data: binary.BigEndian.AppendUint32(nil, last)}
}

func wantNotBegun(t testing.TB, err error) {
	t.Helper()
	wantIs(t, err, ttrpc.ErrClosed)
	wantStatus(t, err, codes.Unavailable, "ttrpc: server closed")
	equal(t, ttrpc.NotSent(err), true)
	equal(t, ttrpc.StatusOf(err).Code(), codes.Unavailable)
}

func TestP66ServerSaysGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t)
		idle, busy, strange := newRawPeer(t, pipeTo(t, r)), newRawPeer(t, pipeTo(t, r)), newRawPeer(t, pipeTo(t, r))
		for _, p := range []*rawPeer{idle, busy} {
			p.send(request(1, "echo", "x"), hello(1))
			p.wantAnswer(1, "x")
		}
		busy.send(opening(3, "chat"))
		strange.send(opening(1, "chat"))
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(bg) }()
		idle.want(goAway(1))
		idle.wantEnd()
		busy.want(goAway(3))
		busy.send(request(5, "echo", "late"))
		busy.wantStatus(5, codes.Unavailable, "ttrpc: server closed")
		busy.send(closing(3))
		busy.want(closing(3))
		busy.wantEnd()
		strange.send(hello(1)) // late, and in time
		strange.want(goAway(1))
		strange.send(closing(1))
		strange.want(closing(1))
		strange.wantEnd()
		check(t, <-done)
	})
}

func TestP66ClientGoesAway(t *testing.T) {
	c, p := known(t)
	before := goCall(bg, c, "echo", "x")
	first, _ := p.recvRequest()
	cs := open(t, bg, c, both, "chat", nil)
	second, _ := p.recvRequest()
	late := goCall(bg, c, "echo", "x")
	p.recvRequest()
	lateStream := open(t, bg, c, both, "chat", nil)
	p.recvRequest()
	p.send(goAway(second.id))
	wantNotBegun(t, wait(t, late, "call above the last id"))
	_, err := recvText(lateStream)
	wantNotBegun(t, err)
	_, err = call(bg, c, "echo", "x")
	wantNotBegun(t, err)
	_, err = c.NewStream(bg, both, svc, "chat", nil)
	wantNotBegun(t, err)
	check(t, c.Err())
	// What was begun goes on.
	p.send(answer(first.id, "x"))
	check(t, wait(t, before, "call below the last id"))
	check(t, cs.SendMsg(text("y")))
	p.want(data(second.id, 0, "y"))
	p.send(data(second.id, 0, "z"), closing(second.id))
	wantTexts(t, cs, "z")
	p.Close()
	check(t, c.UserOnCloseWait(bg))
}

// NotSent holds for what the server has not begun, and for nothing else that a call can end in.
func TestP66NotSentSaysWhatHasHappened(t *testing.T) {
	c, p := known(t, ttrpc.WithClientMaxRecvMsgSize(5000))
	type result struct {
		name    string
		err     error
		notSent bool
	}
	var results []result
	add := func(name string, err error, notSent bool) { results = append(results, result{name, err, notSent}) }
	ctx, stop := context.WithCancel(bg)
	begun := goCall(bg, c, "echo", "x")
	first, _ := p.recvRequest()
	answered := goCall(bg, c, "echo", "x")
	second, _ := p.recvRequest()
	given := goCall(ctx, c, "echo", "x")
	p.recvRequest()
	givenStream := open(t, ctx, c, both, "chat", nil)
	p.recvRequest()
	stream := open(t, bg, c, both, "chat", nil)
	last, _ := p.recvRequest()
	lateStream := open(t, bg, c, both, "chat", nil)
	p.recvRequest()
	late := goCall(bg, c, "echo", "x")
	p.recvRequest()
	p.send(goAway(last.id), refusal(second.id, codes.Unavailable, "ttrpc: server closed but not quite"))
	stop()
	add("above the last id", wait(t, late, "call"), true)
	_, err := recvText(lateStream)
	add("a stream above the last id", err, true)
	_, err = call(bg, c, "echo", "x")
	add("after GoAway", err, true)
	_, err = call(ctx, c, "echo", "x")
	add("after GoAway, without a context", err, false)
	add("given up", wait(t, given, "call"), false)
	_, err = recvText(givenStream)
	add("a stream given up", err, false)
	add("a handler's own Unavailable", wait(t, answered, "call"), false)
	_, err = call(bg, c, "echo", of(5*kib)+strings.Repeat("x", 4<<20))
	add("too large to send", err, false)
	p.send(rawFrame{id: first.id, typ: 2, data: make([]byte, 6000)})
	add("too large to receive", wait(t, begun, "call"), false)
	p.Close()
	_, err = recvText(stream)
	add("cut", err, false)
	add("cut, sending", stream.SendMsg(text("x")), false)
	for _, r := range results {
		if r.err == nil || ttrpc.NotSent(r.err) != r.notSent {
			t.Errorf("%s: NotSent is %t for %v", r.name, !r.notSent, r.err)
		}
	}
}

// A second GoAway may lower the id, and not raise it.
func TestP66GoAwayAgain(t *testing.T) {
	c, p := known(t)
	var results []<-chan error
	var ids []uint32
	for range 3 {
		results = append(results, goCall(bg, c, "echo", "x"))
		f, _ := p.recvRequest()
		ids = append(ids, f.id)
	}
	p.send(goAway(ids[1]))
	wantNotBegun(t, wait(t, results[2], "third call"))
	p.send(goAway(ids[2]), goAway(ids[0]))
	wantNotBegun(t, wait(t, results[1], "second call"))
	p.send(answer(ids[0], "x"))
	check(t, wait(t, results[0], "first call"))
}

// Under load without a pause a Shutdown ends, no call is lost, and none is begun in vain.
func TestP66ShutdownUnderLoad(t *testing.T) {
	r := serve(t)
	const callers = 8
	results := make(chan error, callers)
	c := r.client()
	wantEcho(t, c)
	wantEcho(t, c)
	for range callers {
		go func() {
			for {
				if _, err := call(bg, c, "echo", "x"); err != nil {
					results <- err
					return
				}
			}
		}()
	}
	check(t, r.Shutdown(bg))
	for range callers {
		err := wait(t, results, "a caller")
		wantIs(t, err, ttrpc.ErrClosed)
		if !ttrpc.NotSent(err) && err != ttrpc.ErrClosed { // which a closed client returns
			t.Error(err)
		}
	}
}

func TestP67PingIsAnswered(t *testing.T) {
	long := make([]byte, 65)
	p := serve(t).raw()
	p.send(rawFrame{id: 7, typ: 4, data: []byte("abc")}, rawFrame{id: 9, typ: 4, flags: 3, data: long[:64]},
		rawFrame{id: 11, typ: 4, data: long})
	p.want(rawFrame{id: 7, typ: 5, data: []byte("abc")})
	p.want(rawFrame{id: 9, typ: 5, data: long[:64]})
	p.want(rawFrame{id: 11, typ: 5})
	p.send(request(13, "echo", "x")) // the first Response has the flag all the same
	p.wantAnswer(13, "x")
	equal(t, p.extensions, true)

	_, p = known(t)
	p.send(rawFrame{id: 6, typ: 4, data: []byte("abc")})
	p.want(rawFrame{id: 6, typ: 5, data: []byte("abc")})
}

func TestP68ClientPings(t *testing.T) {
	t.Run("a known server", func(t *testing.T) {
		c, p := known(t)
		done := make(chan error, 1)
		go func() { done <- c.Ping(bg) }()
		f := p.recv()
		equal(t, f.typ, 4)
		p.send(rawFrame{id: f.id, typ: 5, data: []byte("another")}, rawFrame{id: f.id, typ: 5, data: f.data})
		check(t, wait(t, done, "Ping"))
	})
	t.Run("any other", func(t *testing.T) {
		c, p := rawServer(t, "unix")
		done := make(chan error, 2)
		go func() { done <- c.Ping(bg) }()
		p.want(rawFrame{typ: 1})
		p.send(marked(refusal(0, codes.InvalidArgument, "StreamID must be odd for client initiated streams")))
		check(t, wait(t, done, "Ping"))
		go func() { done <- c.Ping(bg) }() // which knows it by now
		equal(t, p.recv().typ, 4)
		p.Close()
		wantIs(t, wait(t, done, "Ping"), ttrpc.ErrClosed)
		wantIs(t, c.Ping(bg), ttrpc.ErrClosed)
	})
	t.Run("its context ends", func(t *testing.T) {
		c, p := rawServer(t, "unix")
		ctx, stop := context.WithCancel(bg)
		done := make(chan error, 1)
		go func() { done <- c.Ping(ctx) }()
		p.want(rawFrame{typ: 1})
		stop()
		wantExactly(t, wait(t, done, "Ping"), context.Canceled)
		wantExactly(t, c.Ping(ctx), context.Canceled)
	})
	t.Run("a real server", func(t *testing.T) {
		for _, on := range []bool{true, false} {
			c := serve(t, ttrpc.WithServerExtensions(on)).client()
			for range 3 {
				check(t, c.Ping(bg))
				wantEcho(t, c)
			}
		}
	})
}

func TestP68Keepalive(t *testing.T) {
	const interval, timeout = time.Minute, 10 * time.Second
	t.Run("both answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := onPipe(t, ttrpc.WithServerKeepalive(interval, timeout))
			c := pipeClient(t, r, ttrpc.WithClientKeepalive(interval, timeout))
			wantEcho(t, c)
			wantEcho(t, c)
			elapse(time.Hour)
			wantEcho(t, c)
		})
	})
	t.Run("the client's peer does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := pipePair(t)
			c := ttrpc.NewClient(a, ttrpc.WithClientKeepalive(interval, timeout), ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed))
			t.Cleanup(func() { c.Close() })
			start := time.Now()
			result := goCall(bg, c, "echo", "x")
			err := <-result
			wantIs(t, err, ttrpc.ErrClosed)
			wantIs(t, err, ttrpc.ErrKeepalive)
			equal(t, time.Since(start), interval+timeout)
			b.Close()
		})
	})
	t.Run("the server's peer does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan error, 1)
			r := onPipe(t, ttrpc.WithServerKeepalive(interval, timeout), waiters(ended))
			p := newRawPeer(t, pipeTo(t, r))
			start := time.Now()
			p.send(requestOf(1, 0, &ttrpc.Request{Service: svc, Method: "wait"}), hello(1))
			wantExactly(t, <-ended, context.Canceled)
			equal(t, time.Since(start), interval+timeout)
		})
	})
	t.Run("an unknown peer is not asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := onPipe(t, ttrpc.WithServerKeepalive(interval, timeout))
			p := newRawPeer(t, pipeTo(t, r))
			p.send(request(1, "echo", "x"))
			p.wantAnswer(1, "x")
			elapse(time.Hour)
			p.wantUsable(3)
		})
	})
}

// pipePair returns both ends of a connection in memory.
func pipePair(t testing.TB) (a, b *pipe.Conn) {
	a, b = pipe.New(pipe.Options{}, pipe.Options{})
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// A peer that takes nothing of what it is sent has vanished, too; one that takes it slowly has not.
func TestP68KeepaliveBesideABacklog(t *testing.T) {
	const interval, timeout = time.Minute, 10 * time.Second
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprint("slow ", slow), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				r := onPipe(t, waiters(ended), ttrpc.WithServerKeepalive(interval, timeout), ttrpc.WithServerWriteBacklog(8*kib))
				conn := pipeTo(t, r)
				p := newRawPeer(t, conn)
				start := time.Now()
				p.send(opening(1, "sends"), hello(1))
				if !slow {
					go func() { // the last are not read: the answers to those before fill the backlog
						for id := uint32(3); id < 203; id += 2 {
							if _, err := conn.Write(request(id, "echo", of(kib)).bytes()); err != nil {
								return
							}
						}
					}()
				}
				synctest.Wait()
				if slow {
					buf := make([]byte, kib)
					for time.Since(start) < time.Hour {
						_, err := io.ReadFull(conn, buf)
						check(t, err)
						elapse(timeout/2 - time.Millisecond) // never when a check is due
					}
					equal(t, len(ended), 0)
				}
				start = time.Now()
				<-ended
				if took := time.Since(start); took > 2*(interval+timeout) {
					t.Error("it took", took)
				}
			})
		})
	}
}

// Pings that nobody reads do not pile up: the next one waits for space, as a call does.
func TestP68PingsAreBehindTheBacklogsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // which holds nothing
		defer far.Close()
		c := ttrpc.NewClient(near, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed), ttrpc.WithClientWriteBacklog(kib))
		t.Cleanup(func() { c.Close() })
		for range 1000 {
			ctx, stop := context.WithTimeout(bg, time.Second)
			wantExactly(t, c.Ping(ctx), context.DeadlineExceeded)
			stop()
		}
		if n := c.Snapshot().Conns[0].Backlog; n > kib+100 {
			t.Error(n, "bytes wait to be written")
		}
	})
}
