//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"io"
	"strings"
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
	r := serve(t, ttrpc.WithServerExtensions(false))
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
			r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(3000, 6000), withStream("slow", bidi(
				func(_ context.Context, ss ttrpc.StreamServer) error {
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
		r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(3000, 6000), withStream("late", bidi(
			func(_ context.Context, ss ttrpc.StreamServer) error {
				elapse(900 * time.Millisecond)
				return chat(context.Background(), ss)
			})))
		// The bubble's time begins long before ours: the clock would be below zero there.
		elapse(50 * 365 * 24 * time.Hour)
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
			r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(3000, 6000), withStream("stuck", bidi(
				func(ctx context.Context, ss ttrpc.StreamServer) error {
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
		held := goCall(bg, c, "hold", "") // others wait for the reader
		cs := unread(t, c, 2)
		elapse(2 * time.Second)
		start := time.Now()
		check(t, cs.SendMsg(kilo))
		wantEcho(t, c)
		// It has to be awake for so long, for the sake of processes that stood still.
		equal(t, time.Since(start), 50*time.Millisecond)
		_, err := recvText(cs)
		wantStatus(t, err, codes.ResourceExhausted, "ttrpc: stream buffer full")
		c.Close()
		wantExactly(t, wait(t, held, "the other call"), ttrpc.ErrClosed)
	})
}

// The connection's buffer is full: the stream whose consumer has been idle for longest goes, the
// others lose nothing.
func TestP51FullConnectionCostsTheLongestIdleStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan error, 1)
		r := serve(t, network("pipe"), ttrpc.WithServerStreamBuffer(4000, 5000), withStream("slow", bidi(
			func(_ context.Context, ss ttrpc.StreamServer) error {
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
func TestP51EndlessUnreadStreamsFailAlone(t *testing.T) {
	r := serve(t, ttrpc.WithServerExtensions(false))
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
	eventually(t, "the end of the stream that is not read", func() bool {
		left := ttrpc.ClientLeftovers(c)
		return left == "" || strings.HasPrefix(left, "0 calls")
	})
	for err = nil; err == nil; {
		_, err = recvText(flooded) // what it received first may be read
	}
	wantExactly(t, err, ttrpc.ErrStreamFull)
	wantEcho(t, c)
}
