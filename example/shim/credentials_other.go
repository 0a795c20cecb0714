//go:build !linux

package shim

import (
	"context"

	"github.com/containerd/ttrpc"
)

// SameUser is without effect here: the handshake needs Linux.
func SameUser() []ttrpc.ServerOpt { return nil }

// peerUID is -1 for unknown.
func peerUID(context.Context) int64 { return -1 }
