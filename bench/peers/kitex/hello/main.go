// Command hello is the smallest server of kitex that serves something.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/pkg/serviceinfo"
	"github.com/cloudwego/kitex/server"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/bench/echo"
)

type service struct{}

// value holds a request or a response, and tells the codec how it is encoded.
type value struct{ message *echo.Text }

func (v *value) Marshal([]byte) ([]byte, error) { return proto.Marshal(v.message) }

func (v *value) Unmarshal(in []byte) error {
	v.message = new(echo.Text)
	return proto.Unmarshal(in, v.message)
}

func (v *value) GetFirstArgument() any { return v.message }
func (v *value) GetResult() any        { return v.message }
func (v *value) SetSuccess(x any)      { v.message = x.(*echo.Text) }

func create() any { return new(value) }

func handle(_ context.Context, _, args, result any) error {
	result.(*value).message = &echo.Text{Text: args.(*value).message.Text}
	return nil
}

func main() {
	klog.SetLevel(klog.LevelError)
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	s := server.NewServer(server.WithListener(l), server.WithMuxTransport())
	err = s.RegisterService(&serviceinfo.ServiceInfo{
		ServiceName:  "Echo",
		HandlerType:  (*service)(nil),
		Methods:      map[string]serviceinfo.MethodInfo{"Echo": serviceinfo.NewMethodInfo(handle, create, create, false)},
		PayloadCodec: serviceinfo.Protobuf,
	}, &service{})
	if err != nil {
		log.Fatal(err)
	}
	_, _ = os.Stdout.Write([]byte(".")) // whoever waits for it notices
	log.Fatal(s.Run())
}
