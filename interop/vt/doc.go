// Package item is the vtprotobuf form of the messages, whose own methods nobody calls: the protobuf
// module encodes and decodes them. It stands apart from the others because vtprotobuf's
// requirements would raise those of the old releases' programs.
package item

//go:generate go run ../../tools/generate -as github.com/containerd/ttrpc/interop/vt -plugin go:google.golang.org/protobuf/cmd/protoc-gen-go -plugin go:github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto:features=marshal+unmarshal+size item.proto
