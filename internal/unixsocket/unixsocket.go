// Package unixsocket listens on unix sockets whose files may be left over from others.
package unixsocket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

var (
	errNoPath      = errors.New("ttrpc: ListenUnix was given an empty path")
	errNotSocket   = errors.New("the file is no socket, and is left as it is")
	errSocketInUse = errors.New("another socket is open there")
)

// Listen listens on a unix socket at path, and removes a file of one that nobody listens on.
func Listen(path string) (net.Listener, error) {
	if path == "" {
		return nil, errNoPath
	}
	for try := 1; ; try++ {
		l, err := net.Listen("unix", path)
		if err == nil {
			return l, nil
		}
		if path[0] == '@' || !isErrno(err, syscall.EADDRINUSE, wsaAddrInUse) || try == listenTries {
			return nil, listenError(path, err)
		}
		if why := removeStale(path); why != nil {
			return nil, fmt.Errorf("ttrpc: can't listen on %s: %w: %w", path, why, err)
		}
	}
}

// listenTries is how often Listen tries: others may make and remove the file meanwhile.
const listenTries = 5

// listenError explains what the system says to a path that it has no room for.
func listenError(path string, err error) error {
	if errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("ttrpc: can't listen on %s: its %d bytes may be more than a socket's path can have, "+
			"which are about 100: %w", path, len(path), err)
	}
	return fmt.Errorf("ttrpc: can't listen on %s: %w", path, err)
}

// removeStale removes a socket file that nobody listens on, and says why it does not. It returns
// nil as well where the file has gone meanwhile.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return errNotSocket
	}
	if why := probeSocket(path); !isRefused(why) {
		return why
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what another process has left there: %w", err)
	}
	return nil
}

// probeSocket reports who listens on a socket's file: its error is a refusal where nobody does, and
// nil where the file is gone.
//
// A datagram finds a live socket of the other type without connecting to it, and does so also where
// that one would refuse a connection: when it is bound and about to listen, and on BSD when its
// queue is full. Not every system tells the types apart, and so the other type is asked as well.
func probeSocket(path string) error {
	conn, err := net.DialTimeout("unixgram", path, probeTimeout)
	if err != nil && !isErrno(err, syscall.EPROTOTYPE, wsaPrototype) {
		conn, err = net.DialTimeout("unix", path, probeTimeout)
	}
	switch {
	case err == nil:
		conn.Close()
		return errSocketInUse
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case isErrno(err, syscall.EPROTOTYPE, wsaPrototype):
		return errSocketInUse
	case isRefused(err):
		return err
	}
	return fmt.Errorf("asking whether it is in use: %w", err)
}

// probeTimeout bounds the connecting to a socket, which no system should make wait.
const probeTimeout = time.Second

// Winsock's numbers for EPROTOTYPE, EADDRINUSE and ECONNREFUSED. No other system has them.
const (
	wsaPrototype   = syscall.Errno(10041)
	wsaAddrInUse   = syscall.Errno(10048)
	wsaConnRefused = syscall.Errno(10061)
)

func isErrno(err error, errno, windows syscall.Errno) bool {
	return errors.Is(err, errno) || errors.Is(err, windows)
}

func isRefused(err error) bool { return isErrno(err, syscall.ECONNREFUSED, wsaConnRefused) }
