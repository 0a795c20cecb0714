//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package peercred

// Supported is false here: golang.org/x/sys has no call for it, or the system tells no users.
const Supported = false

func readPeer(int) (Peer, error) { return Peer{}, errNoPeerCreds() }
