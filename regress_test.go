//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/containerd/ttrpc"
)

// The tests in the files regress_*_test.go are one for each fault that users of the original have
// met. A test's name has the project, TTRPC for containerd/ttrpc, and the number of the issue.

// Hangs.

// A send to a peer that has stopped reading returned with the peer, not with its context, and so
// did all later calls.
func TestTTRPCIssue174SendOutlivesContext(t *testing.T) {
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

// Client and server were both blocked in a write, each waiting for the other to read (also issues
// 94 and 168).
func TestTTRPCIssue72BothSidesBlockedInWrite(t *testing.T) {
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

// One stream that nobody reads stalled every call of its connection, and then failed with its
// handler left hanging.
func TestTTRPCIssue229UnreadStreamStallsCalls(t *testing.T) {
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

// A reader that pauses for 5 s before 50,000 messages gets all of them, and calls beside it go on
// at once.
func TestTTRPCIssue229PausingReaderLosesNothing(t *testing.T) {
	for _, windows := range []bool{true, false} {
		t.Run(fmt.Sprint("windows ", windows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { pausingReader(t, windows) })
		})
	}
}

// pausingReader: with windows the handler waits for the reader, without it fills the inbox.
func pausingReader(t *testing.T, windows bool) {
	const n = 50_000
	m := strings.Repeat("m", 100)
	sent := false
	many := downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
		for range n {
			if err := ss.SendMsg(text(m)); err != nil {
				return err
			}
		}
		sent = true
		return nil
	})
	c := serve(t, network("pipe"), ttrpc.WithServerExtensions(windows), withStream("many", many)).client()
	wantEcho(t, c)
	cs := open(t, bg, c, down, "many", nil)
	synctest.Wait()
	equal(t, sent, !windows)
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
}

// A timeout did not cover the time in the outbound queue (containerd/ttrpc-rust).
func TestTTRPCRustIssue317TimeoutCoversTheQueue(t *testing.T) {
	c, p := rawServer(t, "unix", ttrpc.WithClientWriteBacklog(1000))
	goCall(bg, c, "echo", strings.Repeat("x", 4_000_000))
	p.peek()
	ctx, cancel := context.WithTimeout(bg, 5*time.Millisecond)
	defer cancel()
	_, err := call(ctx, c, "echo", "x")
	wantExactly(t, err, context.DeadlineExceeded)
}

// The last frame of a stream overtook the one before it (containerd/ttrpc-rust).
func TestTTRPCRustIssue312LastFrameInOrder(t *testing.T) {
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
func TestContainerdIssue12977DataForUnknownStream(t *testing.T) {
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
func TestContainerdIssue6247ReplyOverLimit(t *testing.T) {
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
func TestTTRPCIssue194ConcurrentMetadata(t *testing.T) {
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
		ttrpc.WithUnaryClientInterceptor(func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker,
		) error {
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
func TestTTRPCIssue62StatusBesideGogoMessages(t *testing.T) {
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

func TestTTRPCIssue51HandlerReturnsNil(t *testing.T) {
	for name, result := range map[string]any{"nil": nil, "typed nil": (*message)(nil)} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, withMethod("nil", func(context.Context, func(any) error) (any, error) { return result, nil })).client()
			_, err := call(bg, c, "nil", "")
			wantStatus(t, err, codes.Unknown, "ttrpc: marshal called with nil: /test.Service/nil returned neither a message nor an error")
			wantEcho(t, c)
		})
	}
}
