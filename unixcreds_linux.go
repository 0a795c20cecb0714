package ttrpc

import "golang.org/x/sys/unix"

// UnixCredentialsFunc is a [Handshaker] that judges the credentials of the process at the other end
// of a unix socket: those of the moment in which it connected. They become the [HandshakeData], a
// *[UnixCredentials], which on Linux is a *unix.Ucred.
//
// Linux, macOS, FreeBSD, NetBSD, OpenBSD and DragonFly tell them. Elsewhere this package can't read
// any, and every connection is refused.
type UnixCredentialsFunc func(*unix.Ucred) error

// UnixCredentials are a peer's process (Pid, 0 where the system does not tell: FreeBSD, DragonFly),
// effective user (Uid) and effective group (Gid). On Linux the name stands for unix.Ucred of
// golang.org/x/sys; elsewhere it is a type of this package with the same fields.
type UnixCredentials = unix.Ucred
