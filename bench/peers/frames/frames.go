// Package frames is the peer raw: length-prefixed frames that are echoed in order, on buffers that
// live as long as the connection. No protobuf, no ids, no contexts, no errors for the peer; nobody
// would use it.
package frames

import (
	"net"

	"github.com/containerd/ttrpc/bench/driver"
)

// Peer is what the main packages hand to the driver. Each connection is read by what reader makes
// of it.
func Peer(reader Reader) driver.Peer {
	serve := func(l net.Listener) error { return serve(l, reader) }
	dial := func(address string) (driver.Client, error) { return dial(address, reader) }
	return driver.Peer{Serve: serve, Dial: dial, Serial: true, NoContext: true}
}

// A frame is its body's length (4 bytes), its kind (1 byte), and its body.
const headerLen = 5

const (
	kindEcho = iota // the body comes back
	kindFeed        // count and size, 8 bytes each: so many frames of that size come back
)
