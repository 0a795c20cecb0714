module github.com/containerd/ttrpc/cmd/ttrpc

go 1.25.0

require (
	github.com/bufbuild/protocompile v0.14.1
	github.com/containerd/ttrpc v0.0.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800
	google.golang.org/grpc v1.84.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/containerd/ttrpc => ../../
