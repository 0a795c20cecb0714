//go:build go1.25

package ttrpc_test

import (
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

func TestOversizedMessageError(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 4 << 20} {
		check(t, ttrpc.OversizedMessageError(n))
	}
	err := ttrpc.OversizedMessageError(5 << 20)
	wantOversized(t, err, 4<<20)
	text := "message length 5242880 exceed maximum message size of 4194304"
	equal(t, err.Error(), "rpc error: code = ResourceExhausted desc = "+text)
	wantStatus(t, errors.Unwrap(err), codes.ResourceExhausted, text)
	var none *ttrpc.OversizedMessageErr
	equal(t, none.MaximumLength(), 4<<20)
}

func TestTextsOfErrors(t *testing.T) {
	for err, want := range map[error]string{
		ttrpc.ErrProtocol: "protocol error", ttrpc.ErrClosed: "ttrpc: closed", ttrpc.ErrServerClosed: "ttrpc: server closed",
		ttrpc.ErrStreamClosed: "ttrpc: stream closed", ttrpc.ErrStreamFull: "ttrpc: stream buffer full",
		ttrpc.ErrStreamIDsExhausted: "ttrpc: stream ids exhausted",
	} {
		equal(t, err.Error(), want)
	}
}

// A call's error names the cause of an end that is none of closing, once, and is ErrClosed itself
// after any other.
func TestTextOfClosed(t *testing.T) {
	for sent, want := range map[int]string{0: "ttrpc: closed", 5: "ttrpc: closed: unexpected EOF"} {
		c, p := rawServer(t, "unix")
		first := goCall(bg, c, "echo", "x")
		p.recv()
		_, err := p.Write(make([]byte, sent))
		check(t, err)
		p.Close()
		equal(t, wait(t, first, "the call").Error(), want)
		for range 2 {
			_, err = call(bg, c, "echo", "x")
			equal(t, err.Error(), want)
			wantIs(t, err, ttrpc.ErrClosed)
			equal(t, errors.Is(err, io.ErrUnexpectedEOF), sent > 0)
			equal(t, err == ttrpc.ErrClosed, sent == 0)
		}
	}
}
