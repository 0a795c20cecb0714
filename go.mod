module github.com/containerd/ttrpc

go 1.23

require (
	golang.org/x/sys v0.20.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20240528184218-531527333157
	google.golang.org/grpc v1.65.0
	google.golang.org/protobuf v1.34.1
)
