package transport

import (
	"errors"
	"io"
	"net"
	"os"
)

// IsOrderly reports whether a connection that ended so was merely closed, by either side. An EOF in
// mid-frame is io.ErrUnexpectedEOF and not among them.
func IsOrderly(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ErrDone) || IsReset(err)
}
