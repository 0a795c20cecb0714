package main

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/bytedance/gopkg/cloud/metainfo"
	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/server"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/echo"
)

var (
	errAnswer = errors.New("the answer is not what was sent")
	request   = &echo.Text{Text: driver.Text}
)

func serve(l net.Listener) error {
	s := server.NewServer(server.WithListener(l), server.WithMuxTransport())
	if err := s.RegisterService(info, &service{}); err != nil {
		return err
	}
	return s.Run()
}

type caller struct{ client.Client }

func dial(address string) (driver.Client, error) {
	c, err := client.NewClient(info, client.WithDestService("Echo"), client.WithHostPorts(address), client.WithMuxConnection(1))
	return caller{c}, err
}

func (c caller) Close() error { return c.Client.(io.Closer).Close() }

func (c caller) call(ctx context.Context, method string) error {
	var resp value[echo.Text, *echo.Text]
	if err := c.Call(ctx, method, &value[echo.Text, *echo.Text]{request}, &resp); err != nil {
		return err
	}
	if resp.message.Text != driver.Text {
		return errAnswer
	}
	return nil
}

func (c caller) Echo(ctx context.Context) error { return c.call(ctx, "Echo") }

func (c caller) EchoMeta(ctx context.Context) error {
	return c.call(metainfo.WithValue(ctx, metadataKey, driver.Text), "EchoMeta")
}

func (c caller) Hold(ctx context.Context) error { return c.call(ctx, "Hold") }

func (c caller) Await(ctx context.Context) error { return c.call(ctx, "Await") }

func (c caller) Compute(ctx context.Context) error { return c.call(ctx, "Compute") }

func (c caller) EchoBlob(ctx context.Context, body []byte) error {
	var resp value[echo.Blob, *echo.Blob]
	if err := c.Call(ctx, "EchoBlob", &value[echo.Blob, *echo.Blob]{&echo.Blob{Data: body}}, &resp); err != nil {
		return err
	}
	if len(resp.message.Data) != len(body) {
		return errAnswer
	}
	return nil
}
