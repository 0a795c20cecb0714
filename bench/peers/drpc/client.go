package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"storj.io/drpc"
	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmetadata"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/echo"
)

var (
	errAnswer = errors.New("the answer is not what was sent")
	request   = &echo.Text{Text: driver.Text}
)

type client struct{ *drpcconn.Conn }

func dial(address string) (driver.Client, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	return client{drpcconn.New(conn)}, nil
}

func (c client) call(ctx context.Context, method string) error {
	resp := new(echo.Text)
	if err := c.Invoke(ctx, method, encoding{}, request, resp); err != nil {
		return err
	}
	if resp.Text != driver.Text {
		return errAnswer
	}
	return nil
}

func (c client) Echo(ctx context.Context) error { return c.call(ctx, "/bench.Echo/Echo") }

func (c client) Await(ctx context.Context) error { return c.call(ctx, "/bench.Echo/Await") }

func (c client) Compute(ctx context.Context) error { return c.call(ctx, "/bench.Echo/Compute") }

func (c client) EchoMeta(ctx context.Context) error {
	return c.call(drpcmetadata.Add(ctx, metadataKey, driver.Text), "/bench.Echo/EchoMeta")
}

func (c client) EchoBlob(ctx context.Context, body []byte) error {
	resp := new(echo.Blob)
	if err := c.Invoke(ctx, "/bench.Echo/EchoBlob", encoding{}, &echo.Blob{Data: body}, resp); err != nil {
		return err
	}
	if len(resp.Data) != len(body) {
		return errAnswer
	}
	return nil
}

type chatStream struct{ drpc.Stream }

func (c client) Chat(ctx context.Context) (driver.Chat, error) {
	s, err := c.NewStream(ctx, "/bench.Echo/Chat", encoding{})
	if err != nil {
		return nil, err
	}
	return &chatStream{s}, nil
}

func (s *chatStream) Ping() error {
	if err := s.MsgSend(request, encoding{}); err != nil {
		return err
	}
	resp := new(echo.Text)
	if err := s.MsgRecv(resp, encoding{}); err != nil {
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
	if err := s.MsgRecv(new(echo.Text), encoding{}); !errors.Is(err, io.EOF) {
		return fmt.Errorf("want the stream's end: %w", err)
	}
	return s.Close()
}

type feedStream struct{ drpc.Stream }

func (c client) Feed(ctx context.Context, count, size int) (driver.Feed, error) {
	s, err := c.NewStream(ctx, "/bench.Echo/Feed", encoding{})
	if err != nil {
		return nil, err
	}
	if err := s.MsgSend(&echo.FeedRequest{Count: int64(count), Size: int64(size)}, encoding{}); err != nil {
		return nil, err
	}
	return &feedStream{s}, s.CloseSend()
}

func (s *feedStream) Next() (int, error) {
	m := new(echo.Blob)
	err := s.MsgRecv(m, encoding{})
	return len(m.Data), err
}
