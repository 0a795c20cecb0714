module github.com/containerd/ttrpc/interop/peers/v1.0.2

go 1.25.0

require (
	github.com/containerd/ttrpc v1.0.2
	github.com/containerd/ttrpc/interop/messages v0.0.0
	google.golang.org/genproto v0.0.0-20200117163144-32f20d992d24
	google.golang.org/grpc v1.26.0
)

require (
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/protobuf v1.3.2 // indirect
	github.com/konsorten/go-windows-terminal-sequences v1.0.2 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/sirupsen/logrus v1.4.2 // indirect
	golang.org/x/sys v0.0.0-20200930185726-fdedc70b468f // indirect
)

replace github.com/containerd/ttrpc/interop/messages => ../../messages
