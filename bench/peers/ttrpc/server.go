// Package ttrpc is the peer program of every ttrpc release from v1.2 on, and of this project: the
// same source, built in several modules that differ in the ttrpc they require. It uses
// google.golang.org/protobuf messages and is written as generated code is.
package ttrpc

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/echo"
)

const service = "bench.Echo"

// metadataKey is the one metadata value's key.
const metadataKey = "containerd-namespace-ttrpc"

// Peer is what the main packages hand to the driver.
func Peer() driver.Peer { return driver.Peer{Serve: serve, Dial: Dialer()} }

func serve(l net.Listener) error {
	s, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	s.RegisterService(service, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Echo": unary(echoText), "EchoMeta": unary(echoMeta), "Hold": unary(hold), "EchoBlob": echoBlob,
			"Await": unary(await), "Compute": unary(compute),
		},
		Streams: map[string]ttrpc.Stream{
			"Chat": {Handler: chat, StreamingClient: true, StreamingServer: true},
			"Feed": {Handler: feed, StreamingServer: true},
		},
	})
	return s.Serve(context.Background(), l)
}

func unary(handler func(context.Context, *echo.Text) (*echo.Text, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		var req echo.Text
		if err := unmarshal(&req); err != nil {
			return nil, err
		}
		return handler(ctx, &req)
	}
}

func echoText(_ context.Context, req *echo.Text) (*echo.Text, error) {
	return &echo.Text{Text: req.Text}, nil
}

func echoMeta(ctx context.Context, req *echo.Text) (*echo.Text, error) {
	if v, ok := ttrpc.GetMetadataValue(ctx, metadataKey); !ok || v != driver.Text {
		return nil, errors.New("the metadata did not arrive")
	}
	return &echo.Text{Text: req.Text}, nil
}

func hold(_ context.Context, req *echo.Text) (*echo.Text, error) {
	driver.Hold()
	return &echo.Text{Text: req.Text}, nil
}

func await(ctx context.Context, _ *echo.Text) (*echo.Text, error) { return nil, driver.Await(ctx) }

func compute(_ context.Context, req *echo.Text) (*echo.Text, error) {
	driver.Compute()
	return &echo.Text{Text: req.Text}, nil
}

func echoBlob(_ context.Context, unmarshal func(any) error) (any, error) {
	var req echo.Blob
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	return &echo.Blob{Data: req.Data}, nil
}

func chat(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	for {
		req := new(echo.Text)
		err := stream.RecvMsg(req)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if err := stream.SendMsg(&echo.Text{Text: req.Text}); err != nil {
			return nil, err
		}
	}
}

func feed(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	req := new(echo.FeedRequest)
	if err := stream.RecvMsg(req); err != nil {
		return nil, err
	}
	m := &echo.Blob{Data: make([]byte, req.Size)}
	for range req.Count {
		if err := stream.SendMsg(m); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
