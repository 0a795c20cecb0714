module github.com/containerd/ttrpc/example

go 1.25.0

require (
	github.com/containerd/ttrpc v0.0.0
	github.com/containerd/typeurl v1.0.2
	github.com/containerd/typeurl/v2 v2.3.0
	github.com/gogo/protobuf v1.3.2
	github.com/pkg/errors v0.9.1
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800
	google.golang.org/grpc v1.84.0
	google.golang.org/protobuf v1.36.12
)

require golang.org/x/sys v0.47.0 // indirect

replace github.com/containerd/ttrpc => ../
