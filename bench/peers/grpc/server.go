package main

import (
	"context"
	"errors"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/echo"
)

const metadataKey = "containerd-namespace"

var (
	chatDesc = grpc.StreamDesc{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true}
	feedDesc = grpc.StreamDesc{StreamName: "Feed", Handler: feed, ServerStreams: true}
)

func serve(l net.Listener) error {
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "Echo", Handler: unary(echoText)},
			{MethodName: "EchoMeta", Handler: unary(echoMeta)},
			{MethodName: "Hold", Handler: unary(hold)},
			{MethodName: "EchoBlob", Handler: echoBlob},
			{MethodName: "Await", Handler: unary(await)},
			{MethodName: "Compute", Handler: unary(compute)},
		},
		Streams: []grpc.StreamDesc{chatDesc, feedDesc},
	}, struct{}{})
	return s.Serve(l)
}

type method = func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error)

func unary(handler func(context.Context, *echo.Text) (*echo.Text, error)) method {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		req := new(echo.Text)
		if err := decode(req); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

func echoText(_ context.Context, req *echo.Text) (*echo.Text, error) {
	return &echo.Text{Text: req.Text}, nil
}

func echoMeta(ctx context.Context, req *echo.Text) (*echo.Text, error) {
	if v := metadata.ValueFromIncomingContext(ctx, metadataKey); len(v) != 1 || v[0] != driver.Text {
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

func echoBlob(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	req := new(echo.Blob)
	if err := decode(req); err != nil {
		return nil, err
	}
	return &echo.Blob{Data: req.Data}, nil
}

func chat(_ any, stream grpc.ServerStream) error {
	for {
		req := new(echo.Text)
		err := stream.RecvMsg(req)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(&echo.Text{Text: req.Text}); err != nil {
			return err
		}
	}
}

func feed(_ any, stream grpc.ServerStream) error {
	req := new(echo.FeedRequest)
	if err := stream.RecvMsg(req); err != nil {
		return err
	}
	m := &echo.Blob{Data: make([]byte, req.Size)}
	for range req.Count {
		if err := stream.SendMsg(m); err != nil {
			return err
		}
	}
	return nil
}
