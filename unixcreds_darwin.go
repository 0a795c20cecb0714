package ttrpc

import "golang.org/x/sys/unix"

const canReadPeer = true

func readPeer(fd int) (*UnixCredentials, error) {
	x, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return nil, err
	}
	pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	if err != nil {
		pid = 0 // The process is there to be named, not to be judged.
	}
	return fromXucred(x.Version, x.Uid, x.Ngroups, x.Groups[0], int32(pid))
}
