//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

func TestTTRPCIssue172LimitIsConfigurable(t *testing.T) {
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

// Every late reply of an abandoned call was logged as an error (also containerd 8981).
func TestTTRPCIssue117LateRepliesAreSilent(t *testing.T) {
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

func TestTTRPCIssue159StreamMetadataAndDeadline(t *testing.T) {
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
func TestTTRPCIssue148StreamInterceptors(t *testing.T) {
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
		return func(
			ctx context.Context, desc *ttrpc.StreamDesc, service, method string, req any, open ttrpc.Streamer,
		) (ttrpc.ClientStream, error) {
			note(name + method)
			return open(ctx, desc, service, method, req)
		}
	}
	c := serve(t, ttrpc.WithStreamServerInterceptor(onServer("s1")),
		ttrpc.WithChainStreamServerInterceptor(onServer("s2"), nil, onServer("s3"))).
		client(ttrpc.WithClientStreamInterceptor(onClient("c1"), nil, onClient("c2")), ttrpc.WithClientStreamInterceptor(onClient("c3")))
	wantTexts(t, open(t, bg, c, down, "list", text("1")), "0")
	mu.Lock()
	equal(t, fmt.Sprint(seen), "[c1list c2list c3list "+
		"s1/test.Service/listfalse true s2/test.Service/listfalse true s3/test.Service/listfalse true]")
	mu.Unlock()
	wantEcho(t, c) // unary calls have none of them
	equal(t, len(seen), 6)
}

// An empty client-streaming Request lacked the no-data flag: Rust servers saw a bogus first
// message.
func TestTTRPCRustIssue221NoDataFlag(t *testing.T) {
	c, p := rawServer(t, "unix")
	for _, desc := range []*ttrpc.StreamDesc{up, both} {
		open(t, bg, c, desc, "join", nil)
		f, req := p.recvRequest()
		equal(t, f.flags, 0x02|0x04)
		equal(t, len(req.Payload), 0)
	}
}

// An empty message is a message (also issue 157).
func TestTTRPCIssue126EmptyMessages(t *testing.T) {
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

// A client that gave up left the server working. The protocol has no frame for it, but the deadline
// travels, for streams too, and closing the connection ends all (also nri 90, containerd 13483,
// kata-containers 11382).
func TestNRIIssue114ServerWorksOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, ended := make(chan struct{}, 4), make(chan error, 2)
		r := serve(t, network("pipe"),
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
		ctx, cancel := context.WithTimeout(bg, 300*time.Millisecond)
		defer cancel()
		open(t, ctx, c, both, "watchStream", nil)
		_, _ = call(ctx, c, "watch", "") // whichever side notices first
		for range 2 {
			wantExactly(t, <-ended, context.DeadlineExceeded)
			<-started
		}
		open(t, bg, c, both, "watchStream", nil)
		goCall(bg, c, "watch", "")
		for range 2 {
			<-started
		}
		check(t, c.Close())
		for range 2 {
			wantExactly(t, <-ended, context.Canceled)
		}
	})
}

// Sends are bounded: a peer that does not read costs its backlog, not memory without end (also
// issue 174).
func TestTTRPCIssue3BoundedSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := rawServer(t, "pipe", ttrpc.WithClientWriteBacklog(10_000))
		go p.recv()
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		cs := open(t, ctx, c, both, "chat", nil)
		var sent atomic.Int32
		for range 100 {
			go func() {
				_ = cs.SendMsg(kilo)
				sent.Add(1)
			}()
		}
		synctest.Wait()
		equal(t, sent.Load(), 0) // none is written
		if n := c.Snapshot().Conns[0].Backlog; n < 5_000 || n > 15_000 {
			t.Errorf("%d bytes are kept, none of them read", n)
		}
		for range 100 {
			p.recv()
		}
		synctest.Wait()
		equal(t, sent.Load(), 100)
	})
}

// Codes stay those of gRPC: users switch on them (also issue 57).
func TestTTRPCIssue54CodesAreGRPCs(t *testing.T) {
	c := serve(t).client()
	_, err := call(bg, c, "fail", "gone")
	equal(t, status.Code(err), codes.NotFound)
	equal(t, err.Error(), "rpc error: code = NotFound desc = gone")
	equal(t, status.Code(fmt.Errorf("around it: %w", err)), codes.NotFound)
}
