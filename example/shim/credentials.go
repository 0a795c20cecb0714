package shim

import (
	"context"

	"github.com/containerd/ttrpc"
)

// peerUID is the user that the handshake found at the other end; -1 without a handshake.
func peerUID(ctx context.Context) int64 {
	if credentials, ok := ttrpc.HandshakeData(ctx).(*ttrpc.UnixCredentials); ok {
		return int64(credentials.Uid)
	}
	return -1
}
