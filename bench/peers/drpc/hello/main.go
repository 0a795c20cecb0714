// Command hello is the smallest drpc server that serves something.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"google.golang.org/protobuf/proto"
	"storj.io/drpc"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"github.com/containerd/ttrpc/bench/echo"
)

func main() {
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	mux := drpcmux.New()
	if err := mux.Register(service{}, description{}); err != nil {
		log.Fatal(err)
	}
	_, _ = os.Stdout.Write([]byte(".")) // whoever waits for it notices
	log.Fatal(drpcserver.New(mux).Serve(context.Background(), l))
}

type encoding struct{}

func (encoding) Marshal(m drpc.Message) ([]byte, error) { return proto.Marshal(m.(proto.Message)) }

func (encoding) Unmarshal(buf []byte, m drpc.Message) error {
	return proto.Unmarshal(buf, m.(proto.Message))
}

type service struct{}

func (service) Echo(_ context.Context, req *echo.Text) (*echo.Text, error) {
	return &echo.Text{Text: req.Text}, nil
}

type description struct{}

func (description) NumMethods() int { return 1 }

func (description) Method(int) (string, drpc.Encoding, drpc.Receiver, any, bool) {
	return "/bench.Echo/Echo", encoding{}, func(srv any, ctx context.Context, in1, _ any) (drpc.Message, error) {
		return srv.(service).Echo(ctx, in1.(*echo.Text))
	}, service.Echo, true
}
