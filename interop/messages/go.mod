module github.com/containerd/ttrpc/interop/messages

go 1.25.0

require (
	github.com/gogo/protobuf v1.3.2
	google.golang.org/protobuf v1.36.12
)
