module github.com/containerd/ttrpc/bench/peers/ours

go 1.25.0

require (
	github.com/containerd/ttrpc v1.2.8
	github.com/containerd/ttrpc/bench v0.0.0
	github.com/containerd/ttrpc/bench/peers/ttrpc v0.0.0
)

require (
	github.com/gogo/protobuf v1.3.2 // indirect
	golang.org/x/sys v0.47.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800 // indirect
	google.golang.org/grpc v1.84.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/containerd/ttrpc => ../../..
	github.com/containerd/ttrpc/bench => ../..
	github.com/containerd/ttrpc/bench/peers/ttrpc => ../ttrpc
)
