package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// UnixCredentialsFunc is a [Handshaker] that judges the credentials of the process at the other end of a unix
// socket: those of the moment in which it connected (SO_PEERCRED). They become the [HandshakeData].
type UnixCredentialsFunc func(*unix.Ucred) error

// Handshake refuses connections that are not unix sockets, and those whose peer the function refuses.
func (fn UnixCredentialsFunc) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	raw, err := unixSocket(conn)
	if err != nil {
		return nil, nil, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: (*syscall.RawConn).Control failed: %w", err)
	}
	if credErr != nil {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: failed to retrieve socket peer credentials: %w", credErr)
	}
	if err := fn(cred); err != nil {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: credential check failed: %w", err)
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

var errNotUnix = errors.New("a unix socket connection is required")

// UnixSocketRequireUidGid requires a peer of exactly this effective user and group.
func UnixSocketRequireUidGid(uid, gid int) UnixCredentialsFunc {
	return func(cred *unix.Ucred) error {
		if cred.Uid != uint32(uid) || cred.Gid != uint32(gid) {
			return fmt.Errorf("ttrpc: invalid credentials: %w", syscall.EPERM)
		}
		return nil
	}
}

// UnixSocketRequireRoot requires a peer of user 0 and group 0.
func UnixSocketRequireRoot() UnixCredentialsFunc { return UnixSocketRequireUidGid(0, 0) }

// UnixSocketRequireSameUser requires a peer of this process's effective user and group.
func UnixSocketRequireSameUser() UnixCredentialsFunc {
	return UnixSocketRequireUidGid(os.Geteuid(), os.Getegid())
}
