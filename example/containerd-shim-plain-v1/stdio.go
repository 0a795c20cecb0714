//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// stdio is where a process's streams go: paths of fifos that containerd's client has made, empty
// for none, or for output "file://" and a path.
type stdio struct{ in, out, err string }

// noFD is no file.
const noFD = -1

// open opens all three for the process. The process has the fifos themselves: nothing is copied
// here, and no goroutine or buffer is needed. keep are writing ends of the fifos, which are the
// caller's to close. With that of the input the process waits for a client that comes later. With
// those of the outputs a client may come when the process has ended already: it would wait for a
// writer for ever.
func (s stdio) open() (files, keep [3]int, err error) {
	files, keep = [3]int{noFD, noFD, noFD}, [3]int{noFD, noFD, noFD}
	files[0], keep[0], err = openInput(s.in)
	for i, uri := range []string{s.in, s.out, s.err} {
		if i > 0 && err == nil {
			files[i], keep[i], err = openOutput(uri)
		}
	}
	if err != nil {
		closeAll(append(files[:], keep[:]...)...)
		return [3]int{}, [3]int{noFD, noFD, noFD}, err
	}
	return files, keep, nil
}

// hasReader reports whether somebody has the reading end of a fifo.
func hasReader(path string) bool {
	fd, err := openFile(path, syscall.O_WRONLY|syscall.O_NONBLOCK)
	closeAll(fd)
	return err == nil
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		if fd != noFD {
			_ = syscall.Close(fd) // nothing is lost that was written
		}
	}
}

// openInput opens the reading end first: a writing end can't be opened without one.
func openInput(path string) (in, keep int, err error) {
	if path == "" {
		in, err = openFile(os.DevNull, syscall.O_RDONLY)
		return in, noFD, err
	}
	in, err = openFile(path, syscall.O_RDONLY|syscall.O_NONBLOCK)
	if err != nil {
		return noFD, noFD, err
	}
	keep, err = openFile(path, syscall.O_WRONLY|syscall.O_NONBLOCK)
	if err == nil {
		err = syscall.SetNonblock(in, false)
	}
	if err != nil {
		closeAll(in, keep)
		return noFD, noFD, err
	}
	return in, keep, nil
}

// openOutput opens a fifo for both directions, which does not wait for a reader. So the process is
// a reader as well, and is not ended by SIGPIPE when the client goes away.
func openOutput(uri string) (out, keep int, err error) {
	path, isFile := strings.CutPrefix(uri, "file://")
	switch {
	case uri == "":
		out, err = openFile(os.DevNull, syscall.O_WRONLY)
	case isFile:
		out, err = openFile(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_APPEND)
	case strings.Contains(uri, "://"):
		out, err = noFD, fmt.Errorf("output to %s, which is no fifo and not file://: %w", uri, errUnsupported)
	default:
		return openFifo(path)
	}
	return out, noFD, err
}

func openFifo(path string) (out, keep int, err error) {
	if out, err = openFile(path, syscall.O_RDWR); err != nil {
		return noFD, noFD, err
	}
	if keep, err = openFile(path, syscall.O_WRONLY|syscall.O_NONBLOCK); err != nil {
		closeAll(out)
		return noFD, noFD, err
	}
	return out, keep, nil
}

func openFile(path string, flags int) (int, error) {
	for {
		fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC, 0o600)
		switch err {
		case nil:
			return fd, nil
		case syscall.EINTR:
		default:
			return noFD, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}
