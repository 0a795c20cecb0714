module github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc

go 1.23

require (
	github.com/containerd/ttrpc/plugin v0.0.0
	github.com/gogo/protobuf v1.3.2
)

require github.com/containerd/ttrpc v0.0.0 // indirect

replace (
	github.com/containerd/ttrpc => ../../
	github.com/containerd/ttrpc/plugin => ../../plugin
)
