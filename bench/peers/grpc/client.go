package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/echo"
)

var (
	errAnswer = errors.New("the answer is not what was sent")
	request   = &echo.Text{Text: driver.Text}
)

type client struct{ *grpc.ClientConn }

func dial(address string) (driver.Client, error) {
	conn, err := grpc.NewClient("unix:"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return client{conn}, err
}

func (c client) call(ctx context.Context, method string) error {
	resp := new(echo.Text)
	if err := c.Invoke(ctx, method, request, resp); err != nil {
		return err
	}
	if resp.Text != driver.Text {
		return errAnswer
	}
	return nil
}

func (c client) Echo(ctx context.Context) error { return c.call(ctx, "/bench.Echo/Echo") }

func (c client) EchoMeta(ctx context.Context) error {
	return c.call(metadata.NewOutgoingContext(ctx, metadata.MD{metadataKey: {driver.Text}}), "/bench.Echo/EchoMeta")
}

func (c client) Hold(ctx context.Context) error { return c.call(ctx, "/bench.Echo/Hold") }

func (c client) Await(ctx context.Context) error { return c.call(ctx, "/bench.Echo/Await") }

func (c client) Compute(ctx context.Context) error { return c.call(ctx, "/bench.Echo/Compute") }

func (c client) EchoBlob(ctx context.Context, body []byte) error {
	resp := new(echo.Blob)
	if err := c.Invoke(ctx, "/bench.Echo/EchoBlob", &echo.Blob{Data: body}, resp); err != nil {
		return err
	}
	if len(resp.Data) != len(body) {
		return errAnswer
	}
	return nil
}

type chatStream struct{ grpc.ClientStream }

func (c client) Chat(ctx context.Context) (driver.Chat, error) {
	s, err := c.NewStream(ctx, &chatDesc, "/bench.Echo/Chat")
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

type feedStream struct{ grpc.ClientStream }

func (c client) Feed(ctx context.Context, count, size int) (driver.Feed, error) {
	s, err := c.NewStream(ctx, &feedDesc, "/bench.Echo/Feed")
	if err != nil {
		return nil, err
	}
	if err := s.SendMsg(&echo.FeedRequest{Count: int64(count), Size: int64(size)}); err != nil {
		return nil, err
	}
	return &feedStream{s}, s.CloseSend()
}

func (s *feedStream) Next() (int, error) {
	m := new(echo.Blob)
	err := s.RecvMsg(m)
	return len(m.Data), err
}
