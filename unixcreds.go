package ttrpc

import (
	"context"
	"fmt"
	"net"

	"github.com/containerd/ttrpc/internal/peercred"
)

// Handshake refuses connections that are not unix sockets, and those whose peer the function
// refuses: the error wraps the function's and names the peer. Where this package can't read
// credentials it refuses every connection, with an error that wraps [errors.ErrUnsupported].
func (fn UnixCredentialsFunc) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	peer, err := peercred.Read(conn)
	if err != nil {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: %w", err)
	}
	cred := UnixCredentials(peer)
	if err := fn(&cred); err != nil {
		return nil, nil, fmt.Errorf("ttrpc.UnixCredentialsFunc: credential check failed: %w; the peer has %s",
			err, peercred.Peer(cred))
	}
	return conn, &cred, nil
}

// UnixSocketRequireUidGid requires a peer of this effective user and group, either of which may be
// -1 for any. The error that refuses one wraps [syscall.EPERM].
func UnixSocketRequireUidGid(uid, gid int) UnixCredentialsFunc {
	return requirePeer(peercred.Require(uid, gid))
}

// UnixSocketRequireRoot requires a peer of user 0 and group 0.
func UnixSocketRequireRoot() UnixCredentialsFunc { return UnixSocketRequireUidGid(0, 0) }

// UnixSocketRequireSameUser requires a peer of this process's effective user and group.
func UnixSocketRequireSameUser() UnixCredentialsFunc { return requirePeer(peercred.RequireSame()) }

func requirePeer(check func(peercred.Peer) error) UnixCredentialsFunc {
	return func(cred *UnixCredentials) error { return check(peercred.Peer(*cred)) }
}
