//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

func TestServerOptions(t *testing.T) {
	handshake := func() ttrpc.ServerOpt { return ttrpc.WithServerHandshaker(waitingHandshake{}) }
	intercept := func() ttrpc.ServerOpt { return ttrpc.WithUnaryServerInterceptor(new(trace).server("a")) }
	chain := func() ttrpc.ServerOpt { return ttrpc.WithChainUnaryServerInterceptor(new(trace).server("a")) }
	stream := func() ttrpc.ServerOpt { return ttrpc.WithStreamServerInterceptor(new(countingInterceptor).intercept) }
	streams := func() ttrpc.ServerOpt {
		return ttrpc.WithChainStreamServerInterceptor(new(countingInterceptor).intercept)
	}
	for name, test := range map[string]struct {
		opts []ttrpc.ServerOpt
		want string
	}{
		"nothing":                    {nil, ""},
		"two handshakers":            {[]ttrpc.ServerOpt{handshake(), handshake()}, "only one handshaker allowed per server"},
		"a nil handshaker":           {[]ttrpc.ServerOpt{ttrpc.WithServerHandshaker(nil)}, ""},
		"a nil handshaker, then one": {[]ttrpc.ServerOpt{ttrpc.WithServerHandshaker(nil), handshake()}, ""},
		"two interceptors":           {[]ttrpc.ServerOpt{intercept(), intercept()}, "only one unchained interceptor allowed per server"},
		"one, then a chain":          {[]ttrpc.ServerOpt{intercept(), chain()}, ""},
		"a chain, then one":          {[]ttrpc.ServerOpt{chain(), intercept()}, "only one unchained interceptor allowed per server"},
		"two chains":                 {[]ttrpc.ServerOpt{chain(), chain()}, ""},
		"an empty chain, then one":   {[]ttrpc.ServerOpt{ttrpc.WithChainUnaryServerInterceptor(), intercept()}, ""},
		"a nil interceptor":          {[]ttrpc.ServerOpt{ttrpc.WithUnaryServerInterceptor(nil)}, ""},
		"a nil in a chain":           {[]ttrpc.ServerOpt{ttrpc.WithChainUnaryServerInterceptor(nil)}, ""},
		"two stream interceptors":    {[]ttrpc.ServerOpt{stream(), stream()}, "only one unchained stream interceptor allowed per server"},
		"a stream chain, then one":   {[]ttrpc.ServerOpt{streams(), stream()}, "only one unchained stream interceptor allowed per server"},
		"a stream one, then a chain": {[]ttrpc.ServerOpt{stream(), streams()}, ""},
		"one of each":                {[]ttrpc.ServerOpt{intercept(), stream()}, ""},
		"the first error counts": {[]ttrpc.ServerOpt{handshake(), handshake(), intercept(), intercept()},
			"only one handshaker allowed per server"},
		"a nil stream interceptor":    {[]ttrpc.ServerOpt{ttrpc.WithStreamServerInterceptor(nil)}, ""},
		"a nil in a chain of streams": {[]ttrpc.ServerOpt{ttrpc.WithChainStreamServerInterceptor(nil)}, ""},
	} {
		s, err := ttrpc.NewServer(test.opts...)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.want || (s == nil) != (err != nil) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

type countingInterceptor struct{ n int }

func (c *countingInterceptor) intercept(
	ctx context.Context, ss ttrpc.StreamServer, _ *ttrpc.StreamServerInfo, h ttrpc.StreamHandler,
) (any, error) {
	c.n++
	return h(ctx, ss)
}

// Sizes outside of their range are errors of NewServer; a client brings them into it.
func TestSizesOfOptions(t *testing.T) {
	one := func(set func(int) ttrpc.ServerOpt) func(int) ttrpc.ServerOpt { return set }
	for name, set := range map[string]func(int) ttrpc.ServerOpt{
		"WithServerMaxRecvMsgSize":      one(ttrpc.WithServerMaxRecvMsgSize),
		"WithServerMaxSendMsgSize":      one(ttrpc.WithServerMaxSendMsgSize),
		"WithServerStreamBuffer":        func(n int) ttrpc.ServerOpt { return ttrpc.WithServerStreamBuffer(n, 1) },
		"WithServerStreamBuffer, whole": func(n int) ttrpc.ServerOpt { return ttrpc.WithServerStreamBuffer(1, n) },
		"WithServerWriteBacklog":        one(ttrpc.WithServerWriteBacklog),
		"WithServerMaxCalls":            one(ttrpc.WithServerMaxCalls),
		"WithServerRequestBuffer":       one(ttrpc.WithServerRequestBuffer),
		"WithServerMaxConns":            one(ttrpc.WithServerMaxConns),
	} {
		for _, n := range []int{0, -1, -1 << 31} {
			if _, err := ttrpc.NewServer(set(n)); err == nil {
				t.Errorf("%s(%d) is no error", name, n)
			}
		}
		for _, n := range []int{1, 1<<24 - 1} {
			if _, err := ttrpc.NewServer(set(n)); err != nil {
				t.Errorf("%s(%d): %v", name, n, err)
			}
		}
	}
	for _, set := range []func(int) ttrpc.ServerOpt{ttrpc.WithServerMaxRecvMsgSize, ttrpc.WithServerMaxSendMsgSize} {
		_, err := ttrpc.NewServer(set(1 << 24))
		if err == nil || err.Error() != "ttrpc: size out of range" {
			t.Error("got", err)
		}
	}
}

// Limits of messages outside of their range are the nearest ones in it, at a client.
func TestClientsLimitsAreBroughtIntoTheirRange(t *testing.T) {
	for n, want := range map[int]int{-1: 1, 0: 1, 1: 1, 1<<24 - 1: 1<<24 - 1, 1 << 24: 1<<24 - 1} {
		c, _ := rawServer(t, "unix", ttrpc.WithClientMaxRecvMsgSize(n), ttrpc.WithClientMaxSendMsgSize(n))
		wantOversized(t, c.Call(bg, svc, "echo", text(strings.Repeat("x", want)), new(message)), want)

		c, p := rawServer(t, "unix", ttrpc.WithClientMaxRecvMsgSize(n))
		result := goCall(bg, c, "echo", "")
		f, _ := p.recvRequest()
		p.send(rawFrame{id: 99, typ: 3}) // who begins with a frame of 16 MiB does not speak ttrpc
		p.send(rawFrame{id: f.id, typ: 2, data: make([]byte, want+1)})
		wantStatus(t, wait(t, result, "the call"), codes.ResourceExhausted,
			fmt.Sprintf("message length %d exceed maximum message size of %d", want+1, want))
	}
}

// So are its bounds of bytes kept: with the least a stream holds one message, and a write waits for
// the one before it.
func TestClientsBuffersAreBroughtIntoTheirRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := rawServer(t, "pipe", ttrpc.WithClientStreamBuffer(-1, 0))
		ctx, cancel := context.WithTimeout(bg, time.Hour)
		defer cancel()
		opened := make(chan ttrpc.ClientStream, 1)
		go func() { opened <- open(t, ctx, c, down, "list", text("")) }()
		f := p.recv()
		p.send(data(f.id, 0, "a"), data(f.id, 0, "b"), data(f.id, 0, "c"))
		elapse(20 * time.Second) // the stream is alone: its consumer has ten
		var err error
		for cs := <-opened; err == nil; {
			_, err = recvText(cs)
		}
		wantExactly(t, err, ttrpc.ErrStreamFull)
	})
	synctest.Test(t, func(t *testing.T) {
		c, _ := rawServer(t, "pipe", ttrpc.WithClientWriteBacklog(-1))
		ctx, cancel := context.WithTimeout(bg, time.Hour)
		defer cancel()
		var err error
		sent := -1 // of the calls, the streams' openings
		for ; err == nil; sent++ {
			_, err = c.NewStream(ctx, both, svc, "chat", nil)
		}
		wantExactly(t, err, context.DeadlineExceeded)
		if sent > 3 {
			t.Errorf("%d frames are kept", sent)
		}
	})
}

// The least of everything still works, one thing at a time.
func TestSmallestBuffers(t *testing.T) {
	r := serve(t, ttrpc.WithServerStreamBuffer(1, 1), ttrpc.WithServerWriteBacklog(1), ttrpc.WithServerMaxCalls(1),
		ttrpc.WithServerRequestBuffer(1), ttrpc.WithServerMaxConns(1))
	c := r.client(ttrpc.WithClientStreamBuffer(1, 1), ttrpc.WithClientWriteBacklog(1))
	for range 10 {
		wantEcho(t, c)
	}
	cs := open(t, bg, c, both, "chat", text("a"))
	wantNext(t, cs, "a")
	for range 100 {
		check(t, cs.SendMsg(kilo))
		wantNext(t, cs, kilo.Value)
	}
	check(t, cs.CloseSend())
	wantTexts(t, cs)
	wantTexts(t, open(t, bg, c, down, "list", text("3")), "0", "1", "2")
}

// A logger of nil logs nothing, which is the default.
func TestNilLoggerLogsNothing(t *testing.T) {
	c, p := rawServer(t, "unix", ttrpc.WithClientLogger(nil))
	p.send(rawFrame{claim: 5})
	p.Close()
	check(t, c.UserOnCloseWait(bg))
	r := serve(t, ttrpc.WithServerLogger(nil))
	r.raw().send(rawFrame{claim: 5})
}
