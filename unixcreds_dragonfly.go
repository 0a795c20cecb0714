package ttrpc

const canReadPeer = true

func readPeer(fd int) (*UnixCredentials, error) { return dragonflyPeer.read(fd) }
