//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// A handler that sends without end leaves room for others: with one processor, too, where it is
// always first to find room in the backlog. Its client reads along, or not.
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

func TestP52UnreadAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		r := serve(t, network("pipe"), ttrpc.WithServerWriteBacklog(10_000), withStream("counted", downStream(
			func(_ context.Context, ss ttrpc.StreamServer) error {
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
				runtime.Gosched() // with one processor a pipe's two ends would leave no worker any time
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

// Requests that came in one read are bound like others, also where a worker has read them.
func TestP52RequestsOfOneReadAreBounded(t *testing.T) {
	const size, calls, backlog = 300 << 10, 10, 300_000
	const socket = 1 << 20 // more than one holds
	large := text(strings.Repeat("x", size))
	var run, read, most atomic.Int64
	r := serve(t, ttrpc.WithServerMaxCalls(calls), ttrpc.WithServerWriteBacklog(backlog), withMethod("large",
		func(context.Context, func(any) error) (any, error) {
			n := (run.Add(1) - read.Load()) * size
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			return large, nil
		}))
	p := r.raw()
	id := uint32(1)
	for range 200 { // a rhythm, in which whoever has answered reads the next request
		p.wantUsable(id)
		id += 2
	}
	var burst []rawFrame
	for range 250 { // 8 KiB
		burst = append(burst, request(id, "large", ""))
		id += 2
	}
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
func TestP52CallsHandedOutWaitForSpace(t *testing.T) {
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
		r := serve(t, network("pipe"), ttrpc.WithServerWriteBacklog(1000), withStream("endless", downStream(
			func(_ context.Context, ss ttrpc.StreamServer) error {
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
