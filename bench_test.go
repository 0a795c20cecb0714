//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// echoMessage echoes with as few allocations as a handler can.
func echoMessage(_ context.Context, unmarshal func(any) error) (any, error) {
	m := new(message)
	if err := unmarshal(m); err != nil {
		return nil, err
	}
	return m, nil
}

// benchClient is a client of a server with a lean echo, over a unix socket.
func benchClient(t testing.TB, opts ...any) *ttrpc.Client {
	return serve(t, append(opts, withMethod("echo", echoMessage))...).client()
}

// hour is a context with a deadline that does not come.
func hour(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(bg, time.Hour)
	t.Cleanup(cancel)
	return ctx
}

// unaryCase is a way of making a unary call, with what it may allocate on both sides together, the
// messages and the caller's own context included. A figure goes down where a change makes it
// possible, and never up by accident.
var unaryCases = []struct {
	name   string
	budget float64
	opts   []any
	ctx    func(t testing.TB) context.Context
}{
	{"plain", 4, nil, func(testing.TB) context.Context { return bg }},
	{"cancellable", 4, nil, func(t testing.TB) context.Context {
		ctx, cancel := context.WithCancel(bg)
		t.Cleanup(cancel)
		return ctx
	}},
	{"deadline", 5, nil, hour},
	{"metadata", 9, nil, func(testing.TB) context.Context { return ttrpc.WithMetadata(bg, ttrpc.MD{"key": {"value"}}) }},
	{"deadline and metadata", 10, nil, func(t testing.TB) context.Context { return ttrpc.WithMetadata(hour(t), ttrpc.MD{"key": {"value"}}) }},
	{"client interceptor", 12, []any{ttrpc.WithUnaryClientInterceptor(passOn)}, func(testing.TB) context.Context { return bg }},
	{"server interceptor", 5, []any{ttrpc.WithUnaryServerInterceptor(
		func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			return m(ctx, u)
		})}, func(testing.TB) context.Context { return bg }},
	{"recovery", 4, []any{ttrpc.WithRecovery(func(context.Context, string, any, []byte) error { return io.EOF })},
		func(testing.TB) context.Context { return bg }},
}

func BenchmarkUnary(b *testing.B) {
	for _, test := range unaryCases {
		b.Run(strings.ReplaceAll(test.name, " ", "-"), func(b *testing.B) {
			c, ctx, req, resp := benchClient(b, test.opts...), test.ctx(b), text("hello"), new(message)
			b.ReportAllocs()
			for b.Loop() {
				check(b, c.Call(ctx, svc, "echo", req, resp))
			}
		})
	}
}

// 64 callers for each processor.
func BenchmarkUnaryParallel(b *testing.B) {
	c, req := benchClient(b), text("hello")
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		resp := new(message)
		for pb.Next() {
			check(b, c.Call(bg, svc, "echo", req, resp))
		}
	})
}

func BenchmarkUnaryLarge(b *testing.B) {
	c, req, resp := benchClient(b), text(strings.Repeat("x", 1<<20)), new(message)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		check(b, c.Call(bg, svc, "echo", req, resp))
	}
}

// echoBytes echoes a message that is a bytes field.
func echoBytes(_ context.Context, unmarshal func(any) error) (any, error) {
	m := new(wrapperspb.BytesValue)
	if err := unmarshal(m); err != nil {
		return nil, err
	}
	return m, nil
}

func BenchmarkUnaryLargeBytes(b *testing.B) {
	for _, size := range []int{64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c, req := benchClient(b, withMethod("bytes", echoBytes)), wrapperspb.Bytes(make([]byte, size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				check(b, c.Call(bg, svc, "bytes", req, new(wrapperspb.BytesValue)))
			}
		})
	}
}

func BenchmarkStreamOfLargeBytes(b *testing.B) {
	m := wrapperspb.Bytes(make([]byte, 64<<10))
	c := benchClient(b, withStream("endless", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
		for {
			if err := ss.SendMsg(m); err != nil {
				return err
			}
		}
	})))
	cs := open(b, bg, c, down, "endless", nil)
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		check(b, cs.RecvMsg(new(wrapperspb.BytesValue)))
	}
}

func BenchmarkStreamPingPong(b *testing.B) {
	cs := open(b, bg, benchClient(b), both, "chat", nil)
	m := text("hello")
	b.ReportAllocs()
	for b.Loop() {
		check(b, cs.SendMsg(m))
		check(b, cs.RecvMsg(m))
	}
}

func BenchmarkStreamOfSmallMessages(b *testing.B) {
	m := text(strings.Repeat("x", 100))
	c := benchClient(b, withStream("endless", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
		for {
			if err := ss.SendMsg(m); err != nil {
				return err
			}
		}
	})))
	cs, in := open(b, bg, c, down, "endless", nil), new(message)
	b.ReportAllocs()
	for b.Loop() {
		check(b, cs.RecvMsg(in))
	}
}

// A client's messages are written one by one: its SendMsg returns behind the write.
func BenchmarkStreamUpload(b *testing.B) {
	m := text(strings.Repeat("x", 100))
	cs := open(b, bg, benchClient(b, withStream("sink", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
		for {
			if err := ss.RecvMsg(new(message)); err != nil {
				return err
			}
		}
	}))), both, "sink", nil)
	b.ReportAllocs()
	for b.Loop() {
		check(b, cs.SendMsg(m))
	}
}

func BenchmarkStreamOpen(b *testing.B) {
	c := benchClient(b)
	b.ReportAllocs()
	for b.Loop() {
		openAndClose(b, c, "chat")
	}
}

// openAndClose opens a stream, has one message echoed, and ends it.
func openAndClose(t testing.TB, c *ttrpc.Client, method string) {
	cs, err := c.NewStream(bg, both, svc, method, nil)
	check(t, err)
	m := text("x")
	check(t, cs.SendMsg(m))
	check(t, cs.CloseSend())
	check(t, cs.RecvMsg(m))
	if err := cs.RecvMsg(m); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
