package ttrpc

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

func smoke(t testing.TB, opts ...ServerOpt) (*Client, *Server) {
	s, err := NewServer(opts...)
	if err != nil {
		t.Fatal(err)
	}
	s.RegisterService("svc", &ServiceDesc{
		Methods: map[string]Method{"echo": func(ctx context.Context, unmarshal func(any) error) (any, error) {
			var m wrapperspb.StringValue
			if err := unmarshal(&m); err != nil {
				return nil, err
			}
			return &wrapperspb.StringValue{Value: m.Value}, nil
		}},
		Streams: map[string]Stream{"bidi": {StreamingClient: true, StreamingServer: true, Handler: func(ctx context.Context, ss StreamServer) (any, error) {
			for {
				var m wrapperspb.StringValue
				if err := ss.RecvMsg(&m); err == io.EOF {
					return nil, nil
				} else if err != nil {
					return nil, err
				}
				if err := ss.SendMsg(&m); err != nil {
					return nil, err
				}
			}
		}}, "list": {StreamingServer: true, Handler: func(ctx context.Context, ss StreamServer) (any, error) {
			var m wrapperspb.Int64Value
			if err := ss.RecvMsg(&m); err != nil {
				return nil, err
			}
			for range m.Value {
				if err := ss.SendMsg(&wrapperspb.StringValue{Value: "0123456789012345678901234567890123456789"}); err != nil {
					return nil, err
				}
			}
			return nil, nil
		}}},
	})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(context.Background(), l)
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(conn)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c, s
}

func TestSmoke(t *testing.T) {
	c, s := smoke(t)
	ctx := context.Background()
	for range 1000 {
		var resp wrapperspb.StringValue
		if err := c.Call(ctx, "svc", "echo", &wrapperspb.StringValue{Value: "x"}, &resp); err != nil || resp.Value != "x" {
			t.Fatal(err, resp.Value)
		}
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 200 {
				var resp wrapperspb.StringValue
				if err := c.Call(ctx, "svc", "echo", &wrapperspb.StringValue{Value: "x"}, &resp); err != nil || resp.Value != "x" {
					t.Error(err, resp.Value)
					return
				}
			}
		})
	}
	wg.Wait()
	st, err := c.NewStream(ctx, &StreamDesc{StreamingClient: true, StreamingServer: true}, "svc", "bidi", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if err := st.SendMsg(&wrapperspb.StringValue{Value: "y"}); err != nil {
			t.Fatal(err)
		}
		var resp wrapperspb.StringValue
		if err := st.RecvMsg(&resp); err != nil || resp.Value != "y" {
			t.Fatal(err, resp.Value)
		}
	}
	st.CloseSend()
	if err := st.RecvMsg(&wrapperspb.StringValue{}); err != io.EOF {
		t.Fatal(err)
	}
	st, err = c.NewStream(ctx, &StreamDesc{StreamingServer: true}, "svc", "list", &wrapperspb.Int64Value{Value: 100000})
	n := 0
	for {
		if err := st.RecvMsg(&wrapperspb.StringValue{}); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 100000 {
		t.Fatal(n)
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	t.Log(c.Call(ctx, "svc", "echo", &wrapperspb.StringValue{Value: "x"}, &wrapperspb.StringValue{}), c.Err())
}

func BenchmarkUnary(b *testing.B) {
	c, _ := smoke(b)
	ctx := context.Background()
	req := &wrapperspb.StringValue{Value: "hello"}
	b.ReportAllocs()
	for b.Loop() {
		var resp wrapperspb.StringValue
		if err := c.Call(ctx, "svc", "echo", req, &resp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnary64(b *testing.B) {
	c, _ := smoke(b)
	ctx := context.Background()
	req := &wrapperspb.StringValue{Value: "hello"}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var resp wrapperspb.StringValue
			if err := c.Call(ctx, "svc", "echo", req, &resp); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkUnaryDeadline(b *testing.B) {
	c, _ := smoke(b)
	req := &wrapperspb.StringValue{Value: "hello"}
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(context.Background(), 1e9)
		var resp wrapperspb.StringValue
		if err := c.Call(ctx, "svc", "echo", req, &resp); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
}
