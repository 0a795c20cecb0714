//go:build !linux

package dialer

import (
	"context"
	"errors"
	"fmt"
	"net"
)

func dialVsock(context.Context, uint32, uint32) (net.Conn, error) {
	return nil, fmt.Errorf("AF_VSOCK is known here on Linux alone: use WithDialer: %w", errors.ErrUnsupported)
}
