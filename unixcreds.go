package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

var (
	errNotUnix     = errors.New("a unix socket connection is required")
	errNoPeerCreds = fmt.Errorf("peer credentials can't be read on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	errBadCreds    = errors.New("the system's answer has no peer")
)

// Handshake refuses connections that are not unix sockets, and those whose peer the function
// refuses: the error wraps the function's and names the peer. Where this package can't read
// credentials it refuses every connection, with an error that wraps [errors.ErrUnsupported].
func (fn UnixCredentialsFunc) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	if !canReadPeer {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: %w", errNoPeerCreds)
	}
	raw, err := unixSocket(conn)
	if err != nil {
		return nil, nil, err
	}
	cred, err := peerCredentials(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := fn(cred); err != nil {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: credential check failed: %w; the peer has %s",
			err, describePeer(cred))
	}
	return conn, cred, nil
}

func unixSocket(conn net.Conn) (syscall.RawConn, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: require unix socket: %w", errNotUnix)
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: (net.UnixConn).SyscallConn failed: %w", err)
	}
	return raw, nil
}

func peerCredentials(raw syscall.RawConn) (cred *UnixCredentials, err error) {
	controlErr := raw.Control(func(fd uintptr) { cred, err = readPeer(int(fd)) })
	if controlErr != nil {
		return nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: (*syscall.RawConn).Control failed: %w", controlErr)
	}
	if err != nil {
		return nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: failed to retrieve socket peer credentials: %w", err)
	}
	return cred, nil
}

// describePeer leaves out a process that the system did not tell.
func describePeer(cred *UnixCredentials) string {
	if cred.Pid == 0 {
		return fmt.Sprintf("uid %d, gid %d", cred.Uid, cred.Gid)
	}
	return fmt.Sprintf("uid %d, gid %d, pid %d", cred.Uid, cred.Gid, cred.Pid)
}

// anyID stands for every user, or every group.
const anyID = -1

// UnixSocketRequireUidGid requires a peer of this effective user and group, either of which may be
// -1 for any. The error that refuses one wraps [syscall.EPERM].
func UnixSocketRequireUidGid(uid, gid int) UnixCredentialsFunc {
	return func(cred *UnixCredentials) error {
		if (uid == anyID || sameID(uid, cred.Uid)) && (gid == anyID || sameID(gid, cred.Gid)) {
			return nil
		}
		return invalidCredentials("required are uid %s, gid %s", describeID(uid), describeID(gid))
	}
}

// invalidCredentials begins with the text that programs may look for.
func invalidCredentials(format string, args ...any) error {
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

// UnixSocketRequireRoot requires a peer of user 0 and group 0.
func UnixSocketRequireRoot() UnixCredentialsFunc { return UnixSocketRequireUidGid(0, 0) }

// UnixSocketRequireSameUser requires a peer of this process's effective user and group.
func UnixSocketRequireSameUser() UnixCredentialsFunc {
	return requireOwn(os.Geteuid(), os.Getegid())
}

// requireOwn refuses everybody where package os gives -1 for the ids of this process: -1 is then
// unknown, not any.
func requireOwn(uid, gid int) UnixCredentialsFunc {
	if uid == anyID || gid == anyID {
		return func(*UnixCredentials) error { return invalidCredentials("the user of this process is not known") }
	}
	return UnixSocketRequireUidGid(uid, gid)
}
