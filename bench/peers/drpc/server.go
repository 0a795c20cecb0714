package main

import (
	"context"
	"errors"
	"io"
	"net"

	"storj.io/drpc"
	"storj.io/drpc/drpcmetadata"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/echo"
)

const metadataKey = "containerd-namespace"

func serve(l net.Listener) error {
	mux := drpcmux.New()
	if err := mux.Register(service{}, description{}); err != nil {
		return err
	}
	return drpcserver.New(mux).Serve(context.Background(), l)
}

type service struct{}

func (service) Echo(_ context.Context, req *echo.Text) (*echo.Text, error) {
	return &echo.Text{Text: req.Text}, nil
}

func (service) EchoMeta(ctx context.Context, req *echo.Text) (*echo.Text, error) {
	if md, _ := drpcmetadata.Get(ctx); md[metadataKey] != driver.Text {
		return nil, errors.New("the metadata did not arrive")
	}
	return &echo.Text{Text: req.Text}, nil
}

func (service) Await(ctx context.Context, _ *echo.Text) (*echo.Text, error) {
	return nil, driver.Await(ctx)
}

func (service) Compute(_ context.Context, req *echo.Text) (*echo.Text, error) {
	driver.Compute()
	return &echo.Text{Text: req.Text}, nil
}

func (service) EchoBlob(_ context.Context, req *echo.Blob) (*echo.Blob, error) {
	return &echo.Blob{Data: req.Data}, nil
}

func (service) Chat(stream drpc.Stream) error {
	for {
		req := new(echo.Text)
		err := stream.MsgRecv(req, encoding{})
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.MsgSend(&echo.Text{Text: req.Text}, encoding{}); err != nil {
			return err
		}
	}
}

func (service) Feed(req *echo.FeedRequest, stream drpc.Stream) error {
	m := &echo.Blob{Data: make([]byte, req.Size)}
	for range req.Count {
		if err := stream.MsgSend(m, encoding{}); err != nil {
			return err
		}
	}
	return nil
}

// description tells the mux of the service; the mux looks at the type of each method.
type description struct{}

func (description) NumMethods() int { return 7 }

func (description) Method(n int) (string, drpc.Encoding, drpc.Receiver, any, bool) {
	switch n {
	case 0:
		return "/bench.Echo/Echo", encoding{}, func(srv any, ctx context.Context, in1, _ any) (drpc.Message, error) {
			return srv.(service).Echo(ctx, in1.(*echo.Text))
		}, service.Echo, true
	case 1:
		return "/bench.Echo/EchoMeta", encoding{}, func(srv any, ctx context.Context, in1, _ any) (drpc.Message, error) {
			return srv.(service).EchoMeta(ctx, in1.(*echo.Text))
		}, service.EchoMeta, true
	case 2:
		return "/bench.Echo/EchoBlob", encoding{}, func(srv any, ctx context.Context, in1, _ any) (drpc.Message, error) {
			return srv.(service).EchoBlob(ctx, in1.(*echo.Blob))
		}, service.EchoBlob, true
	case 3:
		return "/bench.Echo/Chat", encoding{}, func(srv any, _ context.Context, in1, _ any) (drpc.Message, error) {
			return nil, srv.(service).Chat(in1.(drpc.Stream))
		}, service.Chat, true
	case 4:
		return "/bench.Echo/Feed", encoding{}, func(srv any, _ context.Context, in1, in2 any) (drpc.Message, error) {
			return nil, srv.(service).Feed(in1.(*echo.FeedRequest), in2.(drpc.Stream))
		}, service.Feed, true
	case 5:
		return "/bench.Echo/Await", encoding{}, func(srv any, ctx context.Context, in1, _ any) (drpc.Message, error) {
			return srv.(service).Await(ctx, in1.(*echo.Text))
		}, service.Await, true
	case 6:
		return "/bench.Echo/Compute", encoding{}, func(srv any, ctx context.Context, in1, _ any) (drpc.Message, error) {
			return srv.(service).Compute(ctx, in1.(*echo.Text))
		}, service.Compute, true
	}
	return "", nil, nil, nil, false
}
