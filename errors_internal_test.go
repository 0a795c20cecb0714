//go:build go1.25

package ttrpc

import (
	"io"
	"testing"
)

// The reason for an end is told apart once: what is ErrClosed already stays as it is.
func TestAsClosedWrapsACauseOnce(t *testing.T) {
	closed := asClosed(io.ErrUnexpectedEOF)
	equal(t, closed.Error(), "ttrpc: closed: unexpected EOF")
	wantIs(t, closed, ErrClosed)
	wantIs(t, closed, io.ErrUnexpectedEOF)
	wantExactly(t, asClosed(closed), closed)
	wantExactly(t, asClosed(io.EOF), ErrClosed)
}
