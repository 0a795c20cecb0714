package main

import (
	"context"
	"errors"

	"github.com/bytedance/gopkg/cloud/metainfo"
	"github.com/cloudwego/kitex/pkg/serviceinfo"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/echo"
)

const metadataKey = "CONTAINERD_NAMESPACE"

type service struct{}

var info = &serviceinfo.ServiceInfo{
	ServiceName: "Echo",
	HandlerType: (*service)(nil),
	Methods: map[string]serviceinfo.MethodInfo{
		"Echo": method(echoText), "EchoMeta": method(echoMeta), "EchoBlob": method(echoBlob),
		"Hold": method(hold), "Await": method(await), "Compute": method(compute),
	},
	PayloadCodec: serviceinfo.Protobuf,
	Extra:        map[string]any{"PackageName": "bench"},
}

// message is one of M by pointer.
type message[M any] interface {
	*M
	proto.Message
}

// value holds a method's request or response, and tells the codec how it is encoded.
type value[M any, P message[M]] struct{ message P }

func (v *value[M, P]) Marshal([]byte) ([]byte, error) { return proto.Marshal(v.message) }

func (v *value[M, P]) Unmarshal(in []byte) error {
	v.message = new(M)
	return proto.Unmarshal(in, v.message)
}

func (v *value[M, P]) GetFirstArgument() any { return v.message }
func (v *value[M, P]) GetResult() any        { return v.message }
func (v *value[M, P]) SetSuccess(x any)      { v.message = x.(P) }

func method[M any, P message[M]](handler func(context.Context, P) (P, error)) serviceinfo.MethodInfo {
	create := func() any { return new(value[M, P]) }
	call := func(ctx context.Context, _, args, result any) (err error) {
		result.(*value[M, P]).message, err = handler(ctx, args.(*value[M, P]).message)
		return err
	}
	return serviceinfo.NewMethodInfo(call, create, create, false)
}

func echoText(_ context.Context, req *echo.Text) (*echo.Text, error) {
	return &echo.Text{Text: req.Text}, nil
}

func echoMeta(ctx context.Context, req *echo.Text) (*echo.Text, error) {
	if v, ok := metainfo.GetValue(ctx, metadataKey); !ok || v != driver.Text {
		return nil, errors.New("the metadata did not arrive")
	}
	return &echo.Text{Text: req.Text}, nil
}

func echoBlob(_ context.Context, req *echo.Blob) (*echo.Blob, error) {
	return &echo.Blob{Data: req.Data}, nil
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
