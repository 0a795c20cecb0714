//go:build go1.25

package ttrpc_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/containerd/ttrpc"
)

// A name in the abstract namespace has no file that could be stale: who has it, listens.
func TestListenUnixAbstract(t *testing.T) {
	name := fmt.Sprintf("@ttrpc-%d", os.Getpid())
	l, err := ttrpc.ListenUnix(name)
	check(t, err)
	if second, err := ttrpc.ListenUnix(name); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(second, err)
	}
	check(t, l.Close())
	l, err = ttrpc.ListenUnix(name)
	check(t, err)
	check(t, l.Close())
}
