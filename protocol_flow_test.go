//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

func window(id uint32, limit uint64) rawFrame {
	return rawFrame{id: id, typ: 0x42, data: binary.BigEndian.AppendUint64(nil, limit)}
}

// wantWindow reads a Window and returns its limit.
func (p *rawPeer) wantWindow(id uint32) uint64 {
	p.t.Helper()
	f := p.recv()
	if f.typ != 0x42 || f.id != id || f.flags != 0 || len(f.data) != 8 {
		p.t.Fatalf("got %v, want a Window for id %d", f, id)
	}
	return binary.BigEndian.Uint64(f.data)
}

const kib = 1 << 10

// of is a text whose Data frame has n bytes, header and all; n is between 200 and 16000.
func of(n int) string { return strings.Repeat("w", n-10-3) }

func TestP63SenderKeepsToTheLimit(t *testing.T) {
	sent := func(ctx context.Context, send func(m any) error) error {
		for {
			if err := send(text(of(kib))); err != nil {
				return err
			}
		}
	}
	sides := map[string]func(t *testing.T) (p *rawPeer, id uint32, ended <-chan error){
		"server": func(t *testing.T) (*rawPeer, uint32, <-chan error) {
			ended := make(chan error, 1)
			r := onPipe(t, withStream("send", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
				err := ss.RecvMsg(new(message))
				if err == nil {
					err = sent(ctx, ss.SendMsg)
				}
				ended <- err
				return err
			})))
			p := newRawPeer(t, pipeTo(t, r))
			p.send(opening(1, "send"), hello(1))
			return p, 1, ended
		},
		"client": func(t *testing.T) (*rawPeer, uint32, <-chan error) {
			ended := make(chan error, 1)
			dialed, accepted := pipe.New(pipe.Options{}, pipe.Options{})
			c := ttrpc.NewClient(dialed, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed))
			t.Cleanup(func() { c.Close() })
			p := newRawPeer(t, accepted)
			cs := open(t, bg, c, both, "send", nil)
			p.recv()
			p.want(hello(1))
			go func() {
				err := cs.RecvMsg(new(message))
				if err == nil {
					err = sent(bg, cs.SendMsg)
				}
				ended <- err
			}()
			return p, 1, ended
		},
	}
	for name, side := range sides {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, id, ended := side(t)
				p.send(window(id, 3*kib+1), data(id, 0, "go"))
				for range 4 { // the fourth is begun one byte below the limit
					p.want(data(id, 0, of(kib)))
				}
				nothing := func(why string) {
					t.Helper()
					synctest.Wait()
					check(t, p.SetReadDeadline(time.Now().Add(time.Second)))
					if b, err := p.in.Peek(1); err == nil {
						t.Fatalf("%s: got % x", why, b)
					}
				}
				nothing("at the limit")
				p.send(window(id, 3*kib), window(id, 0), window(id, 4*kib))
				nothing("no higher limit")
				p.send(window(id, 4*kib+1))
				p.want(data(id, 0, of(kib)))
				nothing("at the next limit")
				p.send(window(id, math.MaxUint64-1))
				for range 100 {
					p.want(data(id, 0, of(kib)))
				}
				p.send(window(id, math.MaxUint64), window(id, math.MaxUint64-1), window(id, 1<<63), window(id, 0))
				for range 100 {
					p.want(data(id, 0, of(kib)))
				}
				p.Close()
				if err := <-ended; err == nil {
					t.Error("no error")
				}
			})
		})
	}
}

func TestP63SendMsgWaitsNoLongerThanItsStream(t *testing.T) {
	ends := map[string]struct {
		end  func(p *rawPeer)
		want error
	}{
		"cancel":     {func(p *rawPeer) { p.send(cancel(1)) }, context.Canceled},
		"connection": {func(p *rawPeer) { p.Close() }, context.Canceled},
	}
	for name, test := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				p := newRawPeer(t, pipeTo(t, onPipe(t, waiters(ended))))
				p.send(opening(1, "sends"), hello(1), window(1, 1))
				synctest.Wait()
				test.end(p)
				wantExactly(t, <-ended, test.want)
			})
		})
	}
}

// The end of a half waits for no window, nor does a failure.
func TestP63EndsDoNotWait(t *testing.T) {
	r := serve(t)
	p := r.raw()
	p.send(opening(1, "chat"), hello(1), window(1, 0), closing(1))
	p.want(closing(1))
	p.send(requestOf(3, 0, &ttrpc.Request{Service: svc, Method: "hold"}), window(3, 0), cancel(3))
	p.wantUsable(5)
}

// A receiver says nothing while its consumer keeps up, and then what room there is.
func TestP64WindowComesWithHalfOfItUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		take, taken := make(chan int), make(chan struct{})
		r := onPipe(t, ttrpc.WithServerStreamWindow(100*kib), withStream("take", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
			for n := range take {
				for range n {
					if err := ss.RecvMsg(new(message)); err != nil {
						return err
					}
				}
				taken <- struct{}{}
			}
			return nil
		})))
		defer close(take)
		p := newRawPeer(t, pipeTo(t, r))
		p.send(opening(1, "take"), hello(1))
		send := func(n int) {
			for range n {
				p.send(data(1, 0, of(kib)))
			}
			synctest.Wait()
		}
		for range 1000 {
			send(1)
			take <- 1
			<-taken
		}
		send(49)
		p.send(rawFrame{id: 1, typ: 4}) // whose Pong shows that nothing was said
		p.want(rawFrame{id: 1, typ: 5})
		send(1)
		equal(t, p.wantWindow(1), 1100*kib)
		send(50)
		take <- 40
		<-taken
		p.send(rawFrame{id: 1, typ: 4})
		p.want(rawFrame{id: 1, typ: 5})
		take <- 60
		<-taken
		if limit := p.wantWindow(1); limit < 1150*kib || limit > 1200*kib {
			t.Error("the second limit is", limit)
		}
	})
}

// Streams whose consumers keep up cause no frame that there would not be without windows: many of
// them at once, both ways, of small messages and large ones. Frames are counted on the wire.
func TestP64ConsumersThatKeepUpCauseNoWindow(t *testing.T) {
	r := serve(t)
	conn := &recorder{Conn: r.conn()}
	read := &readRecorder{Conn: conn}
	c := ttrpc.NewClient(read, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed))
	t.Cleanup(func() { c.Close() })
	const streams, rounds = 20, 50
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			in := of(200 + 700*i)
			cs, err := c.NewStream(bg, both, svc, "chat", nil)
			for range rounds {
				if err == nil {
					err = cs.SendMsg(text(in))
				}
				if err == nil {
					_, err = recvText(cs)
				}
			}
			if err == nil {
				err = cs.CloseSend()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	check(t, c.Close())
	check(t, c.UserOnCloseWait(bg))
	conn.mu.Lock()
	defer conn.mu.Unlock()
	equal(t, fmt.Sprint(countTypes(bytes.Join(conn.writes, nil))), fmt.Sprint(map[byte]int{1: streams, 3: streams * (rounds + 1), 0x40: 1}))
	read.mu.Lock()
	defer read.mu.Unlock()
	down := countTypes(read.got)
	if down[3] < streams*rounds || len(down) != 1 {
		t.Error("to the client:", down)
	}
}

// readRecorder is a conn that keeps what was read.
type readRecorder struct {
	net.Conn
	mu  sync.Mutex // guards got
	got []byte
}

func (r *readRecorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, b[:n]...)
	return n, err
}

// countTypes counts the frames of each type.
func countTypes(b []byte) map[byte]int {
	counts := make(map[byte]int)
	for len(b) >= 10 {
		counts[b[8]]++
		b = b[min(10+int(binary.BigEndian.Uint32(b)), len(b)):]
	}
	return counts
}

// Any number of streams that nobody reads fits into a connection's buffer, all of them can be read
// later, and calls beside them go on.
func TestP65UnreadStreamsFit(t *testing.T) {
	const streams, messages, size = 1000, 10, 3 * kib // 30 MB, where 8 MiB fit
	within := func(t *testing.T, side string, s ttrpc.Snapshot) {
		t.Helper()
		for _, conn := range s.Conns {
			if conn.Unread > 8<<20 || conn.Backlog > 1<<20+64*kib {
				t.Errorf("%s holds %d bytes unread, %d unwritten", side, conn.Unread, conn.Backlog)
			}
		}
	}
	buffers := []any{ttrpc.WithServerStreamBuffer(1<<20, 8<<20), ttrpc.WithClientStreamBuffer(1<<20, 8<<20)}
	for _, assumed := range []ttrpc.Extensions{ttrpc.ExtensionsAuto, ttrpc.ExtensionsAssumed} {
		t.Run(fmt.Sprint("down ", assumed), func(t *testing.T) {
			send := downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
				for i := range messages {
					if err := ss.SendMsg(text(fmt.Sprint(i, of(size)))); err != nil {
						return err
					}
				}
				return nil
			})
			r := serve(t, append(buffers, ttrpc.WithClientExtensions(assumed), withStream("send", send))...)
			c := r.client()
			wantEcho(t, c) // the server is known, and greeted by the next
			var all []ttrpc.ClientStream
			for range streams {
				all = append(all, open(t, bg, c, down, "send", nil))
				wantEcho(t, c)
				within(t, "the client", c.Snapshot())
				within(t, "the server", r.Snapshot())
			}
			for _, cs := range all {
				wantNumbered(t, cs, messages, size)
				wantTexts(t, cs)
			}
			wantEcho(t, c)
		})
	}
	t.Run("up", func(t *testing.T) {
		read := make(chan struct{})
		receive := func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
			<-read
			return join(ctx, ss)
		}
		r := serve(t, append(buffers, withStream("receive", ttrpc.Stream{StreamingClient: true, Handler: receive}))...)
		c := r.client()
		wantEcho(t, c)
		wantEcho(t, c)
		results := make(chan error, streams)
		for range streams {
			cs := open(t, bg, c, up, "receive", nil)
			go func() {
				for range messages {
					if err := cs.SendMsg(text(of(size))); err != nil {
						results <- err
						return
					}
				}
				_, err := recvAfterClose(cs)
				results <- err
			}()
			wantEcho(t, c)
			within(t, "the client", c.Snapshot())
			within(t, "the server", r.Snapshot())
		}
		close(read)
		for range streams {
			check(t, wait(t, results, "a stream"))
		}
	})
}

// wantNumbered receives messages that begin with their number.
func wantNumbered(t testing.TB, cs ttrpc.ClientStream, n, size int) {
	t.Helper()
	for i := range n {
		got, err := recvText(cs)
		check(t, err)
		if want := fmt.Sprint(i, of(size)); got != want {
			t.Fatalf("message %d begins with %.20q", i, got)
		}
	}
}

// What was on its way when a stream was stopped has room, though it be more than an inbox holds:
// its sender is slow to hear of the limit.
func TestP65WhatWasOnItsWayHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipePair(t)
		c := ttrpc.NewClient(near, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed),
			ttrpc.WithClientStreamWindow(8*kib), ttrpc.WithClientStreamBuffer(16*kib, 512*kib))
		t.Cleanup(func() { c.Close() })
		p := newRawPeer(t, far)
		cs := open(t, bg, c, both, "chat", nil)
		p.recvRequest()
		p.want(hello(1))
		const messages = 100
		for range messages {
			p.send(data(1, 0, of(kib)))
		}
		p.wantWindow(1)
		elapse(time.Hour)
		wantAnswered(t, c, p)
		for range messages {
			wantNext(t, cs, of(kib))
		}
	})
}

func recvAfterClose(cs ttrpc.ClientStream) (string, error) {
	if err := cs.CloseSend(); err != nil {
		return "", err
	}
	return recvText(cs)
}

// A consumer that pauses for minutes loses nothing.
func TestP65PauseLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 5000
		r := onPipe(t, withStream("send", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
			for i := range messages {
				if err := ss.SendMsg(text(fmt.Sprint(i, of(4*kib)))); err != nil {
					return err
				}
			}
			return nil
		})))
		c := pipeClient(t, r)
		wantEcho(t, c)
		cs, beside := open(t, bg, c, down, "send", nil), open(t, bg, c, both, "chat", nil)
		for i := range messages {
			if i%1000 == 0 {
				for range 10 {
					elapse(time.Minute)
					wantEcho(t, c)
					check(t, beside.SendMsg(text("x")))
					wantNext(t, beside, "x")
				}
			}
			if got, err := recvText(cs); err != nil || got != fmt.Sprint(i, of(4*kib)) {
				t.Fatalf("message %d: %v, %.20q", i, err, got)
			}
		}
		wantTexts(t, cs)
	})
}
