// Package gogo is the peer program with gogo messages, of releases that knew no streams and of
// those since.
package gogo

import (
	"context"
	"errors"
	"net"

	"github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/peers/ttrpc/gogo/messages"
)

const (
	service     = "bench.Echo"
	metadataKey = "containerd-namespace-ttrpc"
)

var (
	errAnswer = errors.New("the answer is not what was sent")
	request   = &messages.Text{Text: driver.Text}
)

// Peer is what the main packages hand to the driver.
func Peer() driver.Peer { return driver.Peer{Serve: serve, Dial: dial} }

func serve(l net.Listener) error {
	s, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	s.Register(service, map[string]ttrpc.Method{
		"Echo": unary(echoText), "EchoMeta": unary(echoMeta), "Hold": unary(hold), "EchoBlob": echoBlob,
		"Await": unary(await), "Compute": unary(compute),
	})
	return s.Serve(context.Background(), l)
}

func unary(handler func(context.Context, *messages.Text) (*messages.Text, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		var req messages.Text
		if err := unmarshal(&req); err != nil {
			return nil, err
		}
		return handler(ctx, &req)
	}
}

func echoText(_ context.Context, req *messages.Text) (*messages.Text, error) {
	return &messages.Text{Text: req.Text}, nil
}

func echoMeta(ctx context.Context, req *messages.Text) (*messages.Text, error) {
	if v, ok := ttrpc.GetMetadataValue(ctx, metadataKey); !ok || v != driver.Text {
		return nil, errors.New("the metadata did not arrive")
	}
	return &messages.Text{Text: req.Text}, nil
}

func hold(_ context.Context, req *messages.Text) (*messages.Text, error) {
	driver.Hold()
	return &messages.Text{Text: req.Text}, nil
}

func await(ctx context.Context, _ *messages.Text) (*messages.Text, error) {
	return nil, driver.Await(ctx)
}

func compute(_ context.Context, req *messages.Text) (*messages.Text, error) {
	driver.Compute()
	return &messages.Text{Text: req.Text}, nil
}

func echoBlob(_ context.Context, unmarshal func(any) error) (any, error) {
	var req messages.Blob
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	return &messages.Blob{Data: req.Data}, nil
}

type client struct{ *ttrpc.Client }

func dial(address string) (driver.Client, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	return client{ttrpc.NewClient(conn)}, nil
}

func (c client) call(ctx context.Context, method string) error {
	resp := new(messages.Text)
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

func (c client) EchoBlob(ctx context.Context, body []byte) error {
	resp := new(messages.Blob)
	if err := c.Call(ctx, service, "EchoBlob", &messages.Blob{Data: body}, resp); err != nil {
		return err
	}
	if len(resp.Data) != len(body) {
		return errAnswer
	}
	return nil
}
