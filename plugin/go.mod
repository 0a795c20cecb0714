module github.com/containerd/ttrpc/plugin

go 1.23

require (
	github.com/containerd/ttrpc v0.0.0
	github.com/gogo/protobuf v1.3.2
)

replace github.com/containerd/ttrpc => ../
