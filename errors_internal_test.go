//go:build go1.25

package ttrpc

import (
	"io"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// The reason for an end is told apart once: what is ErrClosed already stays as it is.
func TestAsClosedWrapsACauseOnce(t *testing.T) {
	closed := asClosed(io.ErrUnexpectedEOF)
	testkit.Equal(t, closed.Error(), "ttrpc: closed: unexpected EOF")
	testkit.WantIs(t, closed, ErrClosed)
	testkit.WantIs(t, closed, io.ErrUnexpectedEOF)
	testkit.WantExactly(t, asClosed(closed), closed)
	testkit.WantExactly(t, asClosed(io.EOF), ErrClosed)
}
