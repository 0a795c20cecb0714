//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package shim

import "github.com/containerd/ttrpc"

// SameUser lets in only clients of the server's own user. The kernel says who they are, so it
// needs nothing of the client.
func SameUser() []ttrpc.ServerOpt {
	return []ttrpc.ServerOpt{ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser())}
}
