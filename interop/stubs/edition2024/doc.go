// Package edition2024 is a service in a file of edition 2024. There protoc-gen-go's messages are
// opaque: they have methods where older ones have fields.
package edition2024

//go:generate go run ../../../tools/generate -as github.com/containerd/ttrpc/interop/stubs/edition2024 -plugin go:google.golang.org/protobuf/cmd/protoc-gen-go -plugin go:github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc edition.proto
