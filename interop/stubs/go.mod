module github.com/containerd/ttrpc/interop/stubs

go 1.25.0

require (
	github.com/bufbuild/protocompile v0.14.1
	github.com/containerd/ttrpc v0.0.0
	github.com/containerd/ttrpc/plugin v0.0.0
	github.com/gogo/protobuf v1.3.2
	google.golang.org/grpc v1.84.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc v0.0.0-00010101000000-000000000000 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800 // indirect
)

tool (
	github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc
	github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc
	google.golang.org/protobuf/cmd/protoc-gen-go
)

replace (
	github.com/containerd/ttrpc => ../../
	github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc => ../../cmd/protoc-gen-gogottrpc
	github.com/containerd/ttrpc/plugin => ../../plugin
)
