//go:build go1.25

package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

func TestIsOrderly(t *testing.T) {
	for err, want := range map[error]bool{
		io.EOF: true, net.ErrClosed: true, os.ErrClosed: true, io.ErrClosedPipe: true, ErrDone: true,
		syscall.ECONNRESET: true, syscall.EPIPE: true,
		io.ErrUnexpectedEOF: false, syscall.ETIMEDOUT: false, errors.New("EOF"): false,
	} {
		testkit.Equal(t, IsOrderly(err), want)
		testkit.Equal(t, IsOrderly(fmt.Errorf("read: %w", err)), want)
	}
}
