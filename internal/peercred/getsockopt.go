//go:build netbsd || openbsd || dragonfly

package peercred

import "golang.org/x/sys/unix"

// read uses the one call of golang.org/x/sys for an option of 32 bytes; ICMPv6Filter is only the
// type of its result. The result is zero where the system wrote nothing, which decode refuses.
func (o peerOption) read(fd int) (Peer, error) {
	answer, err := unix.GetsockoptICMPv6Filter(fd, o.level, o.name)
	if err != nil {
		return Peer{}, err
	}
	return o.decode(answer.Filt)
}
