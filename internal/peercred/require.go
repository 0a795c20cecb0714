package peercred

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"syscall"
)

// anyID stands for every user, or every group.
const anyID = -1

// Require returns a check for this effective user and group, either of which may be -1 for any. The
// check's error wraps [syscall.EPERM].
func Require(uid, gid int) func(Peer) error {
	return func(peer Peer) error {
		if (uid == anyID || sameID(uid, peer.Uid)) && (gid == anyID || sameID(gid, peer.Gid)) {
			return nil
		}
		return invalid("required are uid %s, gid %s", describeID(uid), describeID(gid))
	}
}

// RequireSame returns a check for this process's effective user and group.
func RequireSame() func(Peer) error { return requireOwn(os.Geteuid(), os.Getegid()) }

// requireOwn refuses everybody where package os gives -1 for the ids of this process: -1 is then
// unknown, not any.
func requireOwn(uid, gid int) func(Peer) error {
	if uid == anyID || gid == anyID {
		return func(Peer) error { return invalid("the user of this process is not known") }
	}
	return Require(uid, gid)
}

// invalid begins with the text that programs may look for.
func invalid(format string, args ...any) error {
	return fmt.Errorf("ttrpc: invalid credentials: %w: %s", syscall.EPERM, fmt.Sprintf(format, args...))
}

// sameID compares an id in an int, as package os has them, with the system's. An id over MaxInt32
// is negative where an int has 32 bits. What does not fit into 32 bits is no id: it is not cut to
// one, which might be root's.
func sameID(want int, got uint32) bool {
	return int64(want) >= math.MinInt32 && int64(want) <= math.MaxUint32 && uint32(want) == got
}

func describeID(id int) string {
	if id == anyID {
		return "any"
	}
	return strconv.Itoa(id)
}
