// Package messages is echo.proto's with gogo's generated marshalers. This module is outside the
// workspace; from the repository's root:
//
//	go run ./tools/generate -I bench/peers/ttrpc -as github.com/containerd/ttrpc/bench/peers/ttrpc -C bench/peers/ttrpc \
//		-plugin go:github.com/gogo/protobuf/protoc-gen-gogofaster gogo/messages/messages.proto
package messages
