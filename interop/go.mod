module github.com/containerd/ttrpc/interop

go 1.25.0

require (
	github.com/containerd/ttrpc v0.0.0
	github.com/containerd/ttrpc/interop/messages v0.0.0-00010101000000-000000000000
	github.com/gogo/protobuf v1.3.2
	github.com/planetscale/vtprotobuf v0.6.1-0.20240319094008-0393e58bdf10
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800
	google.golang.org/grpc v1.84.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.40.0 // indirect
)

tool (
	github.com/gogo/protobuf/protoc-gen-gogo
	github.com/gogo/protobuf/protoc-gen-gogofaster
	github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto
	google.golang.org/protobuf/cmd/protoc-gen-go
)

replace (
	github.com/containerd/ttrpc => ../
	github.com/containerd/ttrpc/interop/messages => ./messages
)
