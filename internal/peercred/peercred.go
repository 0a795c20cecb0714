// Package peercred reads who is at the other end of a unix socket, on every system that tells, and
// judges it by user and group.
package peercred

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
)

var (
	errNotUnix  = errors.New("a unix socket connection is required")
	errBadCreds = errors.New("the system's answer has no peer")
)

// errNoPeerCreds makes the error when it is needed: a variable would be made in every program.
func errNoPeerCreds() error {
	return fmt.Errorf("peer credentials can't be read on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Peer is the process at the other end (0 where the system does not tell), its effective user and
// its effective group, at the moment in which it connected. It is plain data, with the fields of
// unix.Ucred.
type Peer struct {
	Pid int32
	Uid uint32
	Gid uint32
}

// String leaves out a process that the system did not tell.
func (p Peer) String() string {
	if p.Pid == 0 {
		return fmt.Sprintf("uid %d, gid %d", p.Uid, p.Gid)
	}
	return fmt.Sprintf("uid %d, gid %d, pid %d", p.Uid, p.Gid, p.Pid)
}

// Read returns the peer of a *net.UnixConn. What hides one has none. Where this system tells none,
// the error wraps [errors.ErrUnsupported].
func Read(conn net.Conn) (Peer, error) {
	if !Supported {
		return Peer{}, errNoPeerCreds()
	}
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, fmt.Errorf("require unix socket: %w", errNotUnix)
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("(net.UnixConn).SyscallConn failed: %w", err)
	}
	return readRaw(raw)
}

func readRaw(raw syscall.RawConn) (peer Peer, err error) {
	controlErr := raw.Control(func(fd uintptr) { peer, err = readPeer(int(fd)) })
	if controlErr != nil {
		return Peer{}, fmt.Errorf("(*syscall.RawConn).Control failed: %w", controlErr)
	}
	if err != nil {
		return Peer{}, fmt.Errorf("failed to retrieve socket peer credentials: %w", err)
	}
	return peer, nil
}

// Describe says in a log who is at the other end of any connection: the process, where the system
// tells that, and else the address.
func Describe(conn net.Conn) string {
	if peer, err := Read(conn); err == nil {
		return fmt.Sprintf("uid=%d gid=%d pid=%d", peer.Uid, peer.Gid, peer.Pid)
	}
	if addr := conn.RemoteAddr(); addr != nil {
		return addr.String()
	}
	return fmt.Sprintf("a %T", conn)
}
