//go:build go1.25

package ttrpc

import (
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
)

func TestOversizedMessageError(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 4 << 20} {
		check(t, OversizedMessageError(n))
	}
	err := OversizedMessageError(5 << 20)
	wantOversized(t, err, 4<<20)
	text := "message length 5242880 exceed maximum message size of 4194304"
	equal(t, err.Error(), "rpc error: code = ResourceExhausted desc = "+text)
	wantStatus(t, errors.Unwrap(err), codes.ResourceExhausted, text)
	var none *OversizedMessageErr
	equal(t, none.MaximumLength(), 4<<20)
}

func TestTextsOfErrors(t *testing.T) {
	for err, want := range map[error]string{
		ErrProtocol: "protocol error", ErrClosed: "ttrpc: closed", ErrServerClosed: "ttrpc: server closed",
		ErrStreamClosed: "ttrpc: stream closed", ErrStreamFull: "ttrpc: stream buffer full",
		asClosed(io.ErrUnexpectedEOF): "ttrpc: closed: unexpected EOF", asClosed(io.EOF): "ttrpc: closed",
	} {
		equal(t, err.Error(), want)
	}
	wantIs(t, asClosed(io.ErrUnexpectedEOF), ErrClosed, io.ErrUnexpectedEOF)
	closed := asClosed(io.ErrUnexpectedEOF)
	wantExactly(t, asClosed(closed), closed)
	wantExactly(t, asClosed(io.EOF), ErrClosed)
}
