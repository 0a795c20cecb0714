package peercred

// Supported tells whether this system lets credentials be read.
const Supported = true

func readPeer(fd int) (Peer, error) { return dragonflyPeer.read(fd) }
