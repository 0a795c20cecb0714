// Package opaque has messages of the protobuf module's opaque API, with fields that are decoded
// lazily and the presence of editions, for the tests of large messages.
package opaque

//go:generate go run ../../tools/generate -as github.com/containerd/ttrpc/interop/opaque -plugin go:google.golang.org/protobuf/cmd/protoc-gen-go:default_api_level=API_OPAQUE blob.proto
