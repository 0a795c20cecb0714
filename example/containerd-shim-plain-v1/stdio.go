//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// stdio is where a process's streams go: paths of fifos that containerd's client has made, empty
// for none, or for output "file://" and a path.
type stdio struct{ in, out, err string }

// noFD is no file.
const noFD = -1

// openStdio is what Start opens of a process's streams. They are Start's to close.
type openStdio struct {
	files [3]int // the process's own
	input int    // a writing end of its input, which the shim holds until CloseIO
}

func (o *openStdio) close() { closeAll(append(o.files[:], o.input)...) }

// open opens all three for the process. The process has the fifos themselves: nothing is copied
// here, and no goroutine or buffer is needed. Outputs wait until the client reads them, or ctx
// ends: what a brief process has written would be gone with it.
func (s stdio) open(ctx context.Context) (o *openStdio, err error) {
	o = &openStdio{files: [3]int{noFD, noFD, noFD}, input: noFD}
	o.files[0], o.input, err = openInput(s.in)
	for i, uri := range []string{s.in, s.out, s.err} {
		if i > 0 && err == nil {
			o.files[i], err = openOutput(ctx, uri)
		}
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
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

func openOutput(ctx context.Context, uri string) (int, error) {
	path, isFile := strings.CutPrefix(uri, "file://")
	switch {
	case uri == "":
		return openFile(os.DevNull, syscall.O_WRONLY)
	case isFile:
		return openFile(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_APPEND)
	case strings.Contains(uri, "://"):
		return noFD, fmt.Errorf("output to %s, which is no fifo and not file://: %w", uri, errUnsupported)
	}
	writer, err := openWriter(ctx, path)
	if err != nil {
		return noFD, err
	}
	defer closeAll(writer) // not before the process's: a reader without a writer sees the end
	// For both directions, so that the process is a reader as well, and is not ended by SIGPIPE when
	// the client goes away.
	return openFile(path, syscall.O_RDWR)
}

// openWriter opens a fifo for writing when somebody reads it.
func openWriter(ctx context.Context, path string) (int, error) {
	writer, err := openFile(path, syscall.O_WRONLY|syscall.O_NONBLOCK)
	if !errors.Is(err, syscall.ENXIO) { // there is a reader, or no such fifo
		return writer, err
	}
	handle, err := openFile(path, unix.O_PATH)
	if err != nil {
		return noFD, err
	}
	defer closeAll(handle)
	path = fmt.Sprintf("/proc/self/fd/%d", handle) // it may be removed meanwhile
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		writer, err = openFile(path, syscall.O_WRONLY)
	}()
	select {
	case <-opened:
		return writer, err
	case <-ctx.Done():
		reader, _ := openFile(path, syscall.O_RDONLY|syscall.O_NONBLOCK) // the goroutine's has a reader
		<-opened
		closeAll(reader, writer)
		return noFD, fmt.Errorf("nobody reads the output: %w", ctx.Err())
	}
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
