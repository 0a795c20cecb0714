module github.com/containerd/ttrpc/interop/peers/v1.2.8

go 1.25.0

require (
	github.com/containerd/ttrpc v1.2.8
	github.com/containerd/ttrpc/interop/messages v0.0.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800
	google.golang.org/grpc v1.84.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/containerd/log v0.1.0 // indirect
	github.com/sirupsen/logrus v1.9.3 // indirect
	github.com/stretchr/testify v1.8.4 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/containerd/ttrpc/interop/messages => ../../messages
