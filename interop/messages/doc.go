// Package messages holds one message in every form that Go code generators gave it over
// the years. Nothing here knows ttrpc, so programs of any release can share it.
package messages

//go:generate go run ../../tools/generate -as github.com/containerd/ttrpc/interop/messages -plugin go:google.golang.org/protobuf/cmd/protoc-gen-go google/item.proto
//go:generate go run ../../tools/generate -as github.com/containerd/ttrpc/interop/messages -plugin go:github.com/gogo/protobuf/protoc-gen-gogofaster gogo/item.proto
//go:generate go run ../../tools/generate -as github.com/containerd/ttrpc/interop/messages -plugin go:github.com/gogo/protobuf/protoc-gen-gogo plain/item.proto
