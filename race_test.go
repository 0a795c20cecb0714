//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// These tests do at once what is documented as safe to be done at once. The race detector looks on;
// each also checks what comes out.

// A client's methods, from many goroutines, to the end and beyond.
func TestRaceClient(t *testing.T) {
	r := serve(t)
	for range 20 {
		var closes, done atomic.Int32
		c := r.client(ttrpc.WithOnClose(func() { closes.Add(1) }))
		ctx := ttrpc.WithMetadata(bg, ttrpc.MD{"key": {"value"}})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				defer done.Add(1)
				for n := 0; ; n++ {
					if err := raceStep(ctx, c, i, n); errors.Is(err, ttrpc.ErrClosed) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 2 {
			all.Go(func() {
				for range 1000 {
					_ = c.Err()
				}
				check(t, c.UserOnCloseWait(bg))
				wantIs(t, c.Err(), ttrpc.ErrClosed)
				equal(t, closes.Load(), 1)
			})
			all.Go(func() {
				for range 200 {
					wantOrClosed(t, c)
				}
				check(t, c.Close())
			})
		}
		all.Wait()
	}
}

func wantOrClosed(t *testing.T, c *ttrpc.Client) {
	t.Helper()
	switch out, err := call(bg, c, "echo", "x"); {
	case err == nil:
		equal(t, out, "x")
	case errors.Is(err, ttrpc.ErrClosed):
	case status.Code(err) == codes.Unavailable: // from a server that drains
	default:
		t.Error(err)
	}
}

// raceStep makes one call of a goroutine's.
func raceStep(ctx context.Context, c *ttrpc.Client, i, n int) error {
	in := fmt.Sprint(i, n)
	switch i % 4 {
	case 0:
		ctx, cancel := context.WithTimeout(ctx, time.Duration(n%100)*10*time.Microsecond)
		defer cancel()
		_, err := call(ctx, c, "echo", in)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		return err
	case 1:
		cs, err := c.NewStream(ctx, down, svc, "list", text(strconv.Itoa(n%5)))
		if err != nil {
			return err
		}
		return receiveAll(cs, strconv.Itoa, n%5)
	}
	out, err := call(ctx, c, "echo", in)
	if err == nil {
		err = compare(out, in)
	}
	return err
}

// A server's methods: services come, listeners come, calls are made, it ends.
func TestRaceServer(t *testing.T) {
	for round := range 10 {
		r := serve(t, ttrpc.WithServerMaxConns(3))
		var all sync.WaitGroup
		for i := range 4 {
			l := listen(t, "unix")
			all.Go(func() { wantExactly(t, r.Serve(bg, l), ttrpc.ErrServerClosed) })
			all.Go(func() {
				r.RegisterService(fmt.Sprint("added", i), standard())
				r.Register(fmt.Sprint("more", i), standard().Methods)
			})
			all.Go(func() {
				if conn, err := net.Dial("unix", l.Addr().String()); err == nil {
					c := ttrpc.NewClient(conn)
					for range 20 {
						wantOrClosed(t, c)
					}
					check(t, c.Close())
				}
				if i == round%4 {
					check(t, r.Shutdown(bg))
				}
				if i == (round+1)%4 && round%2 == 0 {
					check(t, r.Close())
				}
			})
		}
		all.Wait()
		check(t, r.Shutdown(bg))
	}
}

// A stream's methods, from several goroutines on either side: nothing is lost, nothing comes twice,
// and each sender's messages keep their order.
func TestRaceStream(t *testing.T) {
	const senders, receivers, each = 4, 3, 300
	fanOut := func(ctx context.Context, ss ttrpc.StreamServer) error {
		var all sync.WaitGroup
		for range receivers {
			all.Go(func() {
				for {
					in := new(message)
					if err := ss.RecvMsg(in); err != nil {
						if !errors.Is(err, io.EOF) {
							t.Error(err)
						}
						return
					}
					check(t, ss.SendMsg(in))
				}
			})
		}
		all.Wait()
		return nil
	}
	r := serve(t, withStream("fan", bidi(fanOut)))
	for _, ctx := range []context.Context{bg, t.Context()} {
		c := r.client()
		cs := open(t, ctx, c, both, "fan", nil)
		var sending, receiving sync.WaitGroup
		for s := range senders {
			sending.Go(func() {
				for i := range each {
					check(t, cs.SendMsg(text(fmt.Sprint(s, i))))
				}
			})
		}
		var mu sync.Mutex
		got := map[string]int{}
		for range receivers {
			receiving.Go(func() {
				for {
					m, err := recvText(cs)
					if err != nil {
						wantExactly(t, err, io.EOF)
						return
					}
					mu.Lock()
					got[m]++
					mu.Unlock()
				}
			})
		}
		sending.Wait()
		for range 3 {
			go func() { _ = cs.CloseSend() }()
		}
		receiving.Wait()
		equal(t, len(got), senders*each)
		wantEcho(t, c)
	}
}

// Messages of one sender keep their order while others send on the same connection.
func TestRaceStreamsOfOneConnection(t *testing.T) {
	r := serve(t)
	c := r.client()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			cs := open(t, bg, c, both, "chat", nil)
			in := fmt.Sprint(i, " ")
			sent := make(chan error, 1)
			go func() { sent <- sendAll(cs, 200, in) }()
			check(t, receiveAll(cs, func(n int) string { return in + strconv.Itoa(n) }, 200))
			check(t, <-sent)
		})
	}
	all.Wait()
}

// Goroutines that a handler leaves behind may go on with its stream and its unmarshal: they get
// errors.
func TestRaceLeftBehind(t *testing.T) {
	var left sync.WaitGroup
	stray := func(ctx context.Context, ss ttrpc.StreamServer) error {
		for range 2 {
			left.Go(func() {
				for ss.SendMsg(text("stray")) == nil {
				}
			})
			left.Go(func() {
				for ss.RecvMsg(new(message)) == nil {
				}
			})
		}
		return status.Error(codes.Aborted, "left")
	}
	late := func(ctx context.Context, unmarshal func(any) error) (any, error) {
		left.Go(func() {
			for in := new(message); unmarshal(in) == nil; {
				if in.Value != "late" {
					t.Errorf("another call's request: %q", in.Value)
					return
				}
			}
		})
		return text("left"), nil
	}
	r := serve(t, withStream("stray", bidi(stray)), withMethod("late", late))
	c := r.client()
	for range 100 {
		cs := open(t, bg, c, both, "stray", nil)
		var err error
		for err == nil {
			_ = cs.SendMsg(text("x"))
			_, err = recvText(cs)
		}
		wantStatus(t, err, codes.Aborted, "left")
		out, err := call(bg, c, "late", "late")
		check(t, err)
		equal(t, out, "left")
		wantEcho(t, c)
	}
	left.Wait()
}

// A handler that returns while its client still sends: the client gets what the handler returned,
// first.
func TestResultOfAHandlerThatDoesNotTakeAll(t *testing.T) {
	r := serve(t, withStream("early", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
		_, _ = recvText(ss)
		return status.Error(codes.NotFound, "early")
	})))
	p := r.raw()
	for i := range uint32(3000) {
		id := 2*i + 1
		frames := []rawFrame{opening(id, "early")}
		for range 1 + i%20 {
			frames = append(frames, data(id, 0, "x"))
		}
		p.send(frames...)
		f := p.recv()
		for f.id != id { // refusals of Data for the call before
			f = p.recv()
		}
		if msg := f.response(t).Status.GetMessage(); msg != "early" {
			t.Fatalf("call %d: %s", i, msg)
		}
	}
}

// Metadata that is attached to a context is its own: what the caller does to the map later, and
// what handlers do to theirs, is nobody else's business.
func TestRaceMetadata(t *testing.T) {
	r := serve(t, withMethod("change", unary(func(ctx context.Context, _ string) (string, error) {
		md, _ := ttrpc.GetMetadata(ctx)
		md.Append("key", "more")
		md.Set("other", "x")
		md["key"][0] = "changed"
		v, _ := ttrpc.GetMetadataValue(ctx, "key")
		return v, nil
	})))
	c := r.client()
	md := ttrpc.MD{"key": {"value"}}
	ctx := ttrpc.WithMetadata(bg, md)
	md.Set("key", "mine")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				out, err := call(ctx, c, "change", "")
				if err != nil || out != "value" {
					t.Error(out, err)
				}
			}
		})
	}
	all.Wait()
}
