package schema

import (
	"context"
	_ "embed"
)

// The descriptors of containerd's services; README.md of that folder says where they are from.
//
//go:embed containerd/containerd.protoset
var containerd []byte

// Builtin is containerd's services of shims, tasks and events.
func Builtin() Source {
	load := func(context.Context) (Files, error) { return decodeSet(containerd) }
	return Source{Name: "what is built in", Load: load, Common: true}
}
