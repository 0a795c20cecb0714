package ttrpc

import "golang.org/x/sys/unix"

const canReadPeer = true

// readPeer leaves the process out: golang.org/x/sys does not have that field of the structure.
func readPeer(fd int) (*UnixCredentials, error) {
	x, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return nil, err
	}
	return fromXucred(x.Version, x.Uid, x.Ngroups, x.Groups[0], 0)
}
