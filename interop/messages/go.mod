module github.com/containerd/ttrpc/interop/messages

go 1.25.0

require (
	github.com/gogo/protobuf v1.3.2
	github.com/planetscale/vtprotobuf v0.6.1-0.20240319094008-0393e58bdf10
	google.golang.org/protobuf v1.36.12
)
