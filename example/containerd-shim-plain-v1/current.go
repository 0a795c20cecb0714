//go:build linux && !original

package main

import (
	"context"
	"net"

	"github.com/containerd/ttrpc"
)

// What follows has no equal in the original's releases. original.go has the same in their terms, so
// that compare can measure this shim with both.

// listen takes the place of a socket that nobody listens on any more.
func listen(path string) (net.Listener, error) { return ttrpc.ListenUnix(path) }

// serverOptions has what the server can tell no caller logged.
func serverOptions(log shimLog) []ttrpc.ServerOpt {
	return []ttrpc.ServerOpt{ttrpc.WithServerLogger(log)}
}

// dial returns a client that connects when it is used, and again when containerd has restarted.
func dial(address string) (*ttrpc.Client, error) {
	return ttrpc.Dial(context.Background(), address, ttrpc.WithWaitForReady())
}

// registerV3 offers the same methods as task service v3, whose messages are those of v2 under
// another name. containerd's package for v3 is not imported: it links all of grpc.
func registerV3(srv *ttrpc.Server, _ *service) {
	v2 := srv.Services()[taskV2]
	srv.RegisterService(taskV3, &v2)
}
