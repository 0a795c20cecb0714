package main

import (
	lib "github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/peers/ttrpc"
)

func main() {
	p := ttrpc.Peer()
	p.DialPlain = ttrpc.Dialer(lib.WithClientExtensions(lib.ExtensionsOff))
	p.Extended = extended
	driver.Main(p)
}

// extended says whether the server's answers have told that it knows the extensions.
func extended(c driver.Client) bool {
	now := c.(interface{ Snapshot() lib.Snapshot }).Snapshot()
	return len(now.Conns) == 1 && now.Conns[0].Extensions == "known"
}
