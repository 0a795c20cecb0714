//go:build go1.25 && unix

package ttrpc_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/containerd/ttrpc"
)

// A server that was killed has left its socket's file behind, and net.Listen fails for it. Where a
// server listens, ListenUnix fails as well.
func ExampleListenUnix() {
	dir, err := os.MkdirTemp("", "ttrpc") // with mode 0700: nobody else can connect
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "server.sock")

	killed, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	killed.(*net.UnixListener).SetUnlinkOnClose(false)
	killed.Close()

	_, err = net.Listen("unix", path)
	fmt.Println("net.Listen says that the address is in use:", errors.Is(err, syscall.EADDRINUSE))

	l, err := ttrpc.ListenUnix(path)
	if err != nil {
		panic(err)
	}
	defer l.Close()
	fmt.Println("ListenUnix has removed the file and listens")

	_, err = ttrpc.ListenUnix(path)
	fmt.Println("a second server is refused:", errors.Is(err, syscall.EADDRINUSE))

	// Output:
	// net.Listen says that the address is in use: true
	// ListenUnix has removed the file and listens
	// a second server is refused: true
}
