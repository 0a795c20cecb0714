// Package echo is the service that every peer with protobuf messages serves, and its messages.
package echo

//go:generate go run ../../tools/generate -I github.com/containerd/ttrpc/bench=.. -as github.com/containerd/ttrpc/bench -C .. -plugin go:google.golang.org/protobuf/cmd/protoc-gen-go github.com/containerd/ttrpc/bench/echo/echo.proto
