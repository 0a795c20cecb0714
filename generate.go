package ttrpc

//go:generate go run ./tools/generate -I github.com/containerd/ttrpc=. -plugin go:google.golang.org/protobuf/cmd/protoc-gen-go:module=github.com/containerd/ttrpc github.com/containerd/ttrpc/request.proto
