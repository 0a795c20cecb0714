//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// What stands here are habits of programs that have been written for the original.

// uxWithClient has f use a client of each kind, and tells what ends its connection.
func uxWithClient(t *testing.T, f func(t *testing.T, c *ttrpc.Client, end func())) {
	passOn := func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
		return invoke(ctx, req, resp)
	}
	for name, opts := range map[string][]ttrpc.ClientOpts{
		"plain": nil, "intercepted": {ttrpc.WithUnaryClientInterceptor(passOn)},
	} {
		t.Run(name+", closed", func(t *testing.T) {
			c := uxServe(t, nil).client(opts...)
			f(t, c, func() { uxCheck(t, c.Close()) })
		})
		t.Run(name+", server closed", func(t *testing.T) {
			s := uxServe(t, nil)
			c := s.client(opts...)
			f(t, c, func() {
				uxCheck(t, s.Close())
				uxCheck(t, c.UserOnCloseWait(context.Background()))
			})
		})
	}
}

// Who cleans up looks for ErrClosed, also where the time for that is over: the peer is gone.
func TestEndedContextOnAClosedClient(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, cancelExpired := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancelExpired()
	uxWithClient(t, func(t *testing.T, c *ttrpc.Client, end func()) {
		if _, err := uxCall(cancelled, c, "echo", "x"); err != context.Canceled {
			t.Error("while the connection is up:", err)
		}
		end()
		for _, ctx := range []context.Context{cancelled, expired} {
			if _, err := uxCall(ctx, c, "echo", "x"); err != ttrpc.ErrClosed {
				t.Errorf("%v: a call's error is %v", ctx, err)
			}
			if _, err := c.NewStream(ctx, uxBoth, uxService, "chat", nil); err != ttrpc.ErrClosed {
				t.Errorf("%v: a stream's error is %v", ctx, err)
			}
		}
	})
}

// uxHalfContext has a Done of its own, and of its parent an Err that knows nothing of it.
type uxHalfContext struct {
	context.Context
	done chan struct{}
}

func (c uxHalfContext) Done() <-chan struct{} { return c.done }

// Such a context ends a call as any other does.
func TestContextWithoutErr(t *testing.T) {
	conn, p := uxRawServer(t)
	c := ttrpc.NewClient(conn)
	defer c.Close()
	ctx := uxHalfContext{context.Background(), make(chan struct{})}
	called := make(chan error, 1)
	go func() {
		_, err := uxCall(ctx, c, "echo", "x")
		called <- err
	}()
	p.recv()
	close(ctx.done)
	if err := <-called; err != context.Canceled {
		t.Error("the call's error is", err)
	}
}

// A handler finds the metadata of Serve's context where its client has sent none: containerd's
// shims have their namespace there.
func TestMetadataOfServesContext(t *testing.T) {
	look := func(ctx context.Context) string {
		md, ok := ttrpc.GetMetadata(ctx)
		return fmt.Sprint(md, ok)
	}
	desc := &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"look": uxUnary(func(ctx context.Context, _ string) (string, error) { return look(ctx), nil }),
		},
		Streams: map[string]ttrpc.Stream{"look": {StreamingServer: true, Handler: func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
			return uxText(look(ctx)), nil
		}}},
	}
	server, err := ttrpc.NewServer()
	uxCheck(t, err)
	server.RegisterService(uxService, desc)
	s := &uxServer{server, t, filepath.Join(t.TempDir(), "s")}
	s.listen(ttrpc.WithMetadata(context.Background(), ttrpc.MD{"namespace": {"default"}}))
	c := s.client()
	limited, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for _, test := range []struct {
		ctx  context.Context
		want string
	}{
		{context.Background(), "map[namespace:[default]] true"},
		{limited, "map[namespace:[default]] true"},
		{ttrpc.WithMetadata(limited, ttrpc.MD{}), "map[namespace:[default]] true"},
		{ttrpc.WithMetadata(limited, ttrpc.MD{"own": {"1"}}), "map[own:[1]] true"},
	} {
		out, err := uxCall(test.ctx, c, "look", "")
		if err != nil || out != test.want {
			t.Errorf("a call has %s, error %v, want %s", out, err, test.want)
		}
	}
}

// uxFine is an error whose status is none.
type uxFine struct{}

func (uxFine) Error() string              { return "fine" }
func (uxFine) GRPCStatus() *status.Status { return status.New(codes.OK, "fine") }

// A handler's error may have the status OK: its call has succeeded, with no message that nobody has
// sent.
func TestP33ErrorWhoseStatusIsOK(t *testing.T) {
	fine := func(context.Context, ttrpc.StreamServer) (any, error) { return uxText("dropped"), uxFine{} }
	s := uxServe(t, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"fine": func(context.Context, func(any) error) (any, error) { return uxText("dropped"), uxFine{} }},
		Streams: map[string]ttrpc.Stream{
			"down": {Handler: fine, StreamingServer: true},
			"both": {Handler: fine, StreamingServer: true, StreamingClient: true},
			"up":   {Handler: fine, StreamingClient: true},
		},
	})
	c := s.client()
	if out, err := uxCall(context.Background(), c, "fine", ""); out != "" || err != nil {
		t.Errorf("a call returns %q, error %v", out, err)
	}
	for method, want := range map[string]error{"down": io.EOF, "both": io.EOF, "up": nil} {
		desc := &ttrpc.StreamDesc{StreamingClient: method != "down", StreamingServer: method != "up"}
		stream, err := c.NewStream(context.Background(), desc, uxService, method, uxText("x"))
		uxCheck(t, err)
		if err := stream.RecvMsg(uxText("")); err != want {
			t.Errorf("%s: RecvMsg returns %v", method, err)
		}
	}
}

// An interceptor may change what it is told of its call: those behind it are told that, and other
// calls are not.
func TestServerInterceptorsOwnInfo(t *testing.T) {
	var told []string
	change := func(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
		told = append(told, info.FullMethod)
		info.FullMethod += "!"
		return method(ctx, unmarshal)
	}
	changeStream := func(ctx context.Context, ss ttrpc.StreamServer, info *ttrpc.StreamServerInfo, handler ttrpc.StreamHandler) (any, error) {
		told = append(told, info.FullMethod)
		info.FullMethod += "!"
		return handler(ctx, ss)
	}
	c := uxServe(t, nil,
		ttrpc.WithChainUnaryServerInterceptor(change, change),
		ttrpc.WithChainStreamServerInterceptor(changeStream, changeStream)).client()
	for range 2 {
		_, err := uxCall(context.Background(), c, "echo", "x")
		uxCheck(t, err)
		stream, err := c.NewStream(context.Background(), uxBoth, uxService, "chat", nil)
		uxCheck(t, err)
		uxCheck(t, stream.CloseSend())
		if err := stream.RecvMsg(uxText("")); err != io.EOF {
			t.Error(err)
		}
	}
	once := []string{"/" + uxService + "/echo", "/" + uxService + "/echo!", "/" + uxService + "/chat", "/" + uxService + "/chat!"}
	if want := append(once, once...); fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// Without a context Shutdown has no bound.
func TestShutdownWithoutContext(t *testing.T) {
	s := uxServe(t, nil)
	c := s.client()
	_, err := uxCall(context.Background(), c, "echo", "x")
	uxCheck(t, err)
	var none context.Context
	uxCheck(t, s.Shutdown(none))
	if _, err := uxCall(context.Background(), c, "echo", "x"); !errors.Is(err, ttrpc.ErrClosed) {
		t.Error("a call afterwards:", err)
	}
}
