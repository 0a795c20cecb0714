//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package ttrpc

// canReadPeer is false: golang.org/x/sys has no call for it, or the system tells no users.
const canReadPeer = false

func readPeer(int) (*UnixCredentials, error) { return nil, errNoPeerCreds }
