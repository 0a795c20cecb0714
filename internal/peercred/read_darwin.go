package peercred

import "golang.org/x/sys/unix"

// Supported tells whether this system lets credentials be read.
const Supported = true

func readPeer(fd int) (Peer, error) {
	x, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	if err != nil {
		pid = 0 // The process is there to be named, not to be judged.
	}
	return fromXucred(x.Version, x.Uid, x.Ngroups, x.Groups[0], int32(pid))
}
