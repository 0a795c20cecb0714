package ttrpc

import "github.com/containerd/ttrpc/internal/peer"

// Extensions says what a client makes of the protocol's extensions (PROTOCOL.md, section 10):
// cancellation, flow control of streams, the farewell of a server that shuts down.
type Extensions uint8

const (
	// ExtensionsAuto is the default: a client uses them from the first answer on that says that its
	// server knows them. Nothing of them reaches any other server.
	ExtensionsAuto Extensions = iota
	// ExtensionsOff uses none.
	ExtensionsOff
	// ExtensionsAssumed uses them from the first call on, with a server that is known to know them.
	// With any other server it breaks calls.
	ExtensionsAssumed
)

func (x Extensions) initial() peer.State {
	switch x {
	case ExtensionsOff:
		return peer.Off
	case ExtensionsAssumed:
		return peer.Known
	}
	return peer.Unknown
}
