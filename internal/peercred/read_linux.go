package peercred

import "golang.org/x/sys/unix"

// Supported tells whether this system lets credentials be read.
const Supported = true

func readPeer(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	return Peer(*cred), nil
}
