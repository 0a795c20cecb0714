package ttrpc

import (
	"net"

	"github.com/containerd/ttrpc/internal/unixsocket"
)

// ListenUnix listens on a unix socket at path, which may be left over from a process that has not
// closed its listener, as after SIGKILL: a socket file that nobody listens on is removed. Nothing
// else is: where a process listens, or where the file is no socket, the error says so, and wraps
// the one of net.Listen, syscall.EADDRINUSE on Unix. The listener removes the file when it is
// closed, as all of package net do, and is a *net.UnixListener.
//
// Who may connect is a matter of the file's mode, which is 0777 without the bits of the umask, and
// of its folder. A mode that is changed afterwards comes too late for a client that is quick; set
// the umask before, or use a folder of mode 0700, or [UnixSocketRequireSameUser].
//
// There is no lock. When two processes find the same stale file at the same time, one may remove
// the new file of the other, which listens without a name then. Who starts several at once has them
// take turns, as by a lock on another file.
//
// A name that begins with "@" is in Linux's abstract namespace: it has no file, and does not become
// stale.
func ListenUnix(path string) (net.Listener, error) { return unixsocket.Listen(path) }
