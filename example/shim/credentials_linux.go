package shim

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/containerd/ttrpc"
)

// SameUser lets in only clients of the server's own user. The kernel says who they are, so it
// needs nothing of the client.
func SameUser() []ttrpc.ServerOpt {
	return []ttrpc.ServerOpt{ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser())}
}

// peerUID is the user that the handshake found at the other end; -1 without a handshake.
func peerUID(ctx context.Context) int64 {
	if credentials, ok := ttrpc.HandshakeData(ctx).(*unix.Ucred); ok {
		return int64(credentials.Uid)
	}
	return -1
}
