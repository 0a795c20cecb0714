package rust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/internal/peer"
	item "github.com/containerd/ttrpc/interop/messages/google"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// long is a wait, in milliseconds, whose end no test sees.
const long = int64(2 * patience / time.Millisecond)

// callRust has this module's client, which has extensions on, call a server of the crate's.
func callRust(t *testing.T, half peer.Release, bin string) {
	s, err := peer.Start(t.Context(), half, bin, t.TempDir())
	check(t, err)
	stop := sync.OnceValue(s.Stop)
	t.Cleanup(func() { stop() })
	conn, err := net.Dial("unix", s.Addr)
	check(t, err)
	wire := &recorder{Conn: conn}
	c := ttrpc.NewClient(wire)
	t.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	t.Run("calls", func(t *testing.T) { tryCalls(t, ctx, c) })
	t.Run("cancel", func(t *testing.T) { tryCancel(t, ctx, c) })
	t.Run("deadline", func(t *testing.T) { tryDeadline(t, ctx, c) })
	t.Run("concurrent", func(t *testing.T) { tryConcurrent(t, ctx, c) })
	if half.Streams {
		t.Run("join", func(t *testing.T) { tryJoin(t, ctx, c) })
		t.Run("list", func(t *testing.T) { tryList(t, ctx, c) })
		t.Run("chat", func(t *testing.T) { tryChat(t, ctx, c) })
	}
	t.Run("ping", func(t *testing.T) { tryPing(t, ctx, s.Addr) })
	wire.wantOnly(t, typeRequest, typeData)
	t.Run("stop", func(t *testing.T) { tryStop(t, ctx, c, stop) })
}

func call(ctx context.Context, c *ttrpc.Client, method string, req *item.Item) (*item.Item, error) {
	resp := new(item.Item)
	return resp, c.Call(ctx, callsService, method, req, resp)
}

func wantEcho(t *testing.T, ctx context.Context, c *ttrpc.Client, req *item.Item) {
	t.Helper()
	resp, err := call(ctx, c, "Echo", req)
	check(t, err)
	if resp.Text != req.Text || resp.Number != req.Number || !bytes.Equal(resp.Data, req.Data) {
		t.Errorf("%q, %d, %d bytes came back as %q, %d, %d bytes",
			req.Text, req.Number, len(req.Data), resp.Text, resp.Number, len(resp.Data))
	}
}

func tryCalls(t *testing.T, ctx context.Context, c *ttrpc.Client) {
	wantEcho(t, ctx, c, &item.Item{Text: "hello", Number: -1})
	wantEcho(t, ctx, c, new(item.Item))
	wantEcho(t, ctx, c, &item.Item{Data: bytes.Repeat([]byte{7}, 3<<20)})

	_, err := call(ctx, c, "Fail", &item.Item{Text: "gone"})
	if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "gone" {
		t.Errorf("Fail: %v", err)
	}
	// The crate has a code of its own for it (P26 has another).
	if err := c.Call(ctx, "none", "None", new(item.Item), new(item.Item)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a service that is not there: %v", err)
	}

	bounded, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	resp, err := call(ttrpc.WithMetadata(bounded, ttrpc.MD{"k": {"a", "b"}}), c, "Look", new(item.Item))
	check(t, err)
	if want := "deadline true, metadata k=a+b"; resp.Text != want {
		t.Errorf("the handler saw %q, want %q", resp.Text, want)
	}
}

// tryCancel gives up a call that is on its way; the server is not told, and others go on.
func tryCancel(t *testing.T, ctx context.Context, c *ttrpc.Client) {
	given, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := call(given, c, "Wait", &item.Item{Number: long})
		done <- err
	}()
	for range 3 { // the call above is on its way after these
		wantEcho(t, ctx, c, &item.Item{Text: "before"})
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("the call ended in %v", err)
	}
	wantEcho(t, ctx, c, &item.Item{Text: "after"})
}

// tryDeadline lets a deadline pass. The async half answers then, which may come first.
func tryDeadline(t *testing.T, ctx context.Context, c *ttrpc.Client) {
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := call(short, c, "Wait", &item.Item{Number: long})
	if err != context.DeadlineExceeded && status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the call ended in %v", err)
	}
	wantEcho(t, ctx, c, &item.Item{Text: "after"})
}

func tryConcurrent(t *testing.T, ctx context.Context, c *ttrpc.Client) {
	var right atomic.Int64
	var all sync.WaitGroup
	for n := range int64(500) {
		all.Go(func() {
			if resp, err := call(ctx, c, "Echo", &item.Item{Number: n}); err == nil && resp.Number == n {
				right.Add(1)
			}
		})
	}
	all.Wait()
	if n := right.Load(); n != 500 {
		t.Errorf("%d of 500 answers are right", n)
	}
}

func tryJoin(t *testing.T, ctx context.Context, c *ttrpc.Client) {
	s, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, streamsService, "Join", nil)
	check(t, err)
	for range 3 {
		check(t, s.SendMsg(&item.Item{Data: make([]byte, 10)}))
	}
	check(t, s.CloseSend())
	var sum item.Item
	check(t, s.RecvMsg(&sum))
	if sum.Number != 3 || len(sum.Data) != 30 {
		t.Errorf("the server got %d messages, %d bytes", sum.Number, len(sum.Data))
	}
}

func tryList(t *testing.T, ctx context.Context, c *ttrpc.Client) {
	s, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, streamsService, "List", &item.Item{Number: 2000})
	check(t, err)
	for n := range int64(2000) {
		var i item.Item
		check(t, s.RecvMsg(&i))
		if i.Number != n {
			t.Fatalf("message %d is %d", n, i.Number)
		}
	}
	if err := s.RecvMsg(new(item.Item)); err != io.EOF {
		t.Errorf("the stream ended in %v", err)
	}
}

func tryChat(t *testing.T, ctx context.Context, c *ttrpc.Client) {
	s, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, streamsService, "Chat", nil)
	check(t, err)
	for n := range int64(100) {
		check(t, s.SendMsg(&item.Item{Number: n, Text: fmt.Sprint(n)}))
		var i item.Item
		check(t, s.RecvMsg(&i))
		if i.Number != n || i.Text != fmt.Sprint(n) {
			t.Fatalf("%d came back as %d, %q", n, i.Number, i.Text)
		}
	}
	check(t, s.CloseSend())
	if err := s.RecvMsg(new(item.Item)); err != io.EOF {
		t.Errorf("the stream ended in %v", err)
	}
}

// tryStop has the server shut down under a call.
func tryStop(t *testing.T, ctx context.Context, c *ttrpc.Client, stop func() error) {
	done := make(chan error, 1)
	go func() {
		_, err := call(ctx, c, "Wait", &item.Item{Number: long})
		done <- err
	}()
	for range 3 {
		wantEcho(t, ctx, c, &item.Item{Text: "before"})
	}
	if err := stop(); err != nil {
		t.Errorf("the server: %v", err)
	}
	// The blocking half tells its handlers, and may still answer.
	if err := <-done; err != nil && !errors.Is(err, ttrpc.ErrClosed) {
		t.Errorf("the call in flight ended in %v", err)
	}
	if _, err := call(ctx, c, "Echo", new(item.Item)); !errors.Is(err, ttrpc.ErrClosed) {
		t.Errorf("a later call: %v", err)
	}
}

// tryPing is a check, on a connection of its own, that the server is there.
func tryPing(t *testing.T, ctx context.Context, addr string) {
	conn, err := net.Dial("unix", addr)
	check(t, err)
	c := ttrpc.NewClient(conn)
	defer c.Close()
	check(t, c.Ping(ctx))
	wantEcho(t, ctx, c, &item.Item{Text: "after"})
}
