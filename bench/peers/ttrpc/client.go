package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/echo"
)

var (
	errAnswer = errors.New("the answer is not what was sent")
	request   = &echo.Text{Text: driver.Text}
)

type client struct{ *ttrpc.Client }

// Dialer connects with options.
func Dialer(opts ...ttrpc.ClientOpts) func(address string) (driver.Client, error) {
	return func(address string) (driver.Client, error) {
		conn, err := net.Dial("unix", address)
		if err != nil {
			return nil, err
		}
		return client{ttrpc.NewClient(conn, opts...)}, nil
	}
}

func (c client) call(ctx context.Context, method string) error {
	resp := new(echo.Text)
	if err := c.Call(ctx, service, method, request, resp); err != nil {
		return err
	}
	if resp.Text != driver.Text {
		return errAnswer
	}
	return nil
}

func (c client) Echo(ctx context.Context) error { return c.call(ctx, "Echo") }

func (c client) EchoMeta(ctx context.Context) error {
	return c.call(ttrpc.WithMetadata(ctx, ttrpc.MD{metadataKey: {driver.Text}}), "EchoMeta")
}

func (c client) Hold(ctx context.Context) error { return c.call(ctx, "Hold") }

func (c client) Await(ctx context.Context) error { return c.call(ctx, "Await") }

func (c client) Compute(ctx context.Context) error { return c.call(ctx, "Compute") }

// ConnectShim has messages of the same form on the wire: the container's id is the request's first
// field, and the shim's process id the answer's.
func (c client) ConnectShim(ctx context.Context) (pid int, err error) {
	resp := new(echo.FeedRequest)
	err = c.Call(ctx, "containerd.task.v3.Task", "Connect", &echo.Text{Text: "bench"}, resp)
	return int(resp.Count), err
}

func (c client) EchoBlob(ctx context.Context, body []byte) error {
	resp := new(echo.Blob)
	if err := c.Call(ctx, service, "EchoBlob", &echo.Blob{Data: body}, resp); err != nil {
		return err
	}
	if len(resp.Data) != len(body) {
		return errAnswer
	}
	return nil
}

var (
	chatDesc = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	feedDesc = &ttrpc.StreamDesc{StreamingServer: true}
)

type chatStream struct{ ttrpc.ClientStream }

func (c client) Chat(ctx context.Context) (driver.Chat, error) {
	s, err := c.NewStream(ctx, chatDesc, service, "Chat", nil)
	if err != nil {
		return nil, err
	}
	return &chatStream{s}, nil
}

func (s *chatStream) Ping() error {
	if err := s.SendMsg(request); err != nil {
		return err
	}
	resp := new(echo.Text)
	if err := s.RecvMsg(resp); err != nil {
		return err
	}
	if resp.Text != driver.Text {
		return errAnswer
	}
	return nil
}

func (s *chatStream) Finish() error {
	if err := s.CloseSend(); err != nil {
		return err
	}
	if err := s.RecvMsg(new(echo.Text)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("want the stream's end: %w", err)
	}
	return nil
}

type feedStream struct{ ttrpc.ClientStream }

func (c client) Feed(ctx context.Context, count, size int) (driver.Feed, error) {
	s, err := c.NewStream(ctx, feedDesc, service, "Feed", &echo.FeedRequest{Count: int64(count), Size: int64(size)})
	if err != nil {
		return nil, err
	}
	return &feedStream{s}, nil
}

func (s *feedStream) Next() (int, error) {
	m := new(echo.Blob)
	err := s.RecvMsg(m)
	return len(m.Data), err
}
