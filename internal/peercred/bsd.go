package peercred

// This file turns what macOS and the BSDs tell into credentials. It is built everywhere, as
// its tests are. An answer that was not filled in is never taken for user 0 and group 0.

// peerOption is a socket option that tells the peer, and what reads 32 bytes of its answer.
// The numbers are those of sys/socket.h and sys/un.h; golang.org/x/sys lacks most of them.
type peerOption struct {
	level, name int
	decode      func([8]uint32) (Peer, error)
}

// openbsdPeer is SO_PEERCRED, which answers with a struct sockpeercred: user, group, process.
var openbsdPeer = peerOption{level: 0xffff, name: 0x1022, decode: func(answer [8]uint32) (Peer, error) {
	return fromIDs(answer[0], answer[1], answer[2])
}}

// netbsdPeer is LOCAL_PEEREID, which answers with a struct unpcbid: process, user, group.
var netbsdPeer = peerOption{level: 0, name: 3, decode: func(answer [8]uint32) (Peer, error) {
	return fromIDs(answer[1], answer[2], answer[0])
}}

// dragonflyPeer is LOCAL_PEERCRED, which answers with a struct xucred: a version, the user, the
// number of groups (16 bits, and 16 of padding), the groups. The system cuts off what is longer. It
// runs on little-endian processors only.
var dragonflyPeer = peerOption{level: 0, name: 1, decode: func(answer [8]uint32) (Peer, error) {
	return fromXucred(answer[0], answer[1], int16(answer[2]), answer[3], 0)
}}

// fromXucred takes the values of a struct xucred, whose only version is 0 and whose first group is
// the effective one.
func fromXucred(version, uid uint32, groups int16, gid uint32, pid int32) (Peer, error) {
	if version != 0 || groups < 1 {
		return Peer{}, errBadCreds
	}
	return Peer{Pid: pid, Uid: uid, Gid: gid}, nil
}

// fromIDs takes the values of a structure in which a peer always has a process.
func fromIDs(uid, gid, pid uint32) (Peer, error) {
	if int32(pid) <= 0 {
		return Peer{}, errBadCreds
	}
	return Peer{Pid: int32(pid), Uid: uid, Gid: gid}, nil
}
