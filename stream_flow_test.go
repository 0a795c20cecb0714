//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

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

// transfer sends a number of bytes through a stream to a consumer that calls pause after each
// message, and returns by how much the heap has grown meanwhile.
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

// The same with a gibibyte over a socket, in real time: nearly a minute, so only where it is asked
// for.
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

// A consumer with small buffers that takes messages now and then, let go by the test: nothing is
// lost in any order of events.
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

// quickStage is a server with the stream "moody", which has been quick.
type quickStage struct {
	*rig
	c              *ttrpc.Client
	cs             ttrpc.ClientStream
	started        chan struct{}
	ended          chan error
	wantClientsEnd error
}

// newQuickStage fails when the context ends before begin has succeeded.
func newQuickStage(t *testing.T, ctx context.Context, begin func(*quickStage) error) (*quickStage, error) {
	s := &quickStage{started: make(chan struct{}, 1), ended: make(chan error, 1)}
	s.rig = serve(t, withStream("moody", moody(s.started, s.ended)))
	s.c = s.client()
	var err error
	if s.cs, err = s.c.NewStream(ctx, both, svc, "moody", nil); err != nil {
		return nil, err
	}
	for range 100 {
		if err := s.cs.SendMsg(text("a")); err != nil {
			return nil, err
		}
		if out, err := recvText(s.cs); err != nil || out != "a" {
			return nil, errors.Join(err, ctx.Err())
		}
	}
	return s, begin(s)
}

// quickStageUntil is a stage whose stream has a deadline: long enough to come so far.
func quickStageUntil(t *testing.T, begin func(*quickStage) error) *quickStage {
	for timeout := time.Second; ; timeout *= 2 {
		ctx, cancel := context.WithTimeout(bg, timeout)
		t.Cleanup(cancel)
		s, err := newQuickStage(t, ctx, begin)
		if err == nil {
			return s
		}
		<-ctx.Done() // nothing else may have been in its way
	}
}

// A stream that has been quick stops: its handler waits, or its client does, and everything else
// goes on and ends as ever.
func TestQuickStreamThatStops(t *testing.T) {
	handlerWaits := func(s *quickStage) error {
		if err := s.cs.SendMsg(text("wait")); err != nil {
			return err
		}
		select {
		case <-s.started:
			return nil
		case err := <-s.ended:
			return err
		}
	}
	clientWaits := func(*quickStage) error { return nil }
	ends := map[string]func(t *testing.T, s *quickStage){
		"client closes": func(t *testing.T, s *quickStage) { check(t, s.c.Close()); s.wantClientsEnd = ttrpc.ErrClosed },
		"server closes": func(t *testing.T, s *quickStage) { check(t, s.Close()); s.wantClientsEnd = ttrpc.ErrClosed },
		"deadline":      func(_ *testing.T, s *quickStage) { s.wantClientsEnd = context.DeadlineExceeded },
	}
	for start, begin := range map[string]func(*quickStage) error{"handler waits": handlerWaits, "client waits": clientWaits} {
		for name, end := range ends {
			t.Run(start+"/"+name, func(t *testing.T) {
				var s *quickStage
				if name == "deadline" {
					s = quickStageUntil(t, begin)
				} else {
					var err error
					s, err = newQuickStage(t, bg, begin)
					check(t, err)
				}
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

// bulkHeap is an inbox of 8 MiB, a backlog of 1 MiB, and what the collector has not seen yet.
const bulkHeap = 80 << 20
