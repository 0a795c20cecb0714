//go:build go1.25

package transport

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// lastConn gives out its bytes at once with an error beside them, and says it once: nobody may read
// after that.
type lastConn struct {
	net.Conn
	t   *testing.T
	b   []byte
	err error
}

func (c *lastConn) Read(b []byte) (int, error) {
	if c.b == nil {
		c.t.Error("it is read after its end")
		return 0, net.ErrClosed
	}
	n := copy(b, c.b)
	c.b = nil
	return n, c.err
}

// What a Read returns beside its last bytes is what reading ends with, behind their frames.
func TestErrorBesideTheLastBytes(t *testing.T) {
	broken := errors.New("broken")
	whole := framesOf(0, 2, 5)
	large := framesOf(0, 1, 2*readSmall)
	for name, test := range map[string]struct {
		b      []byte
		err    error
		frames int
		want   error
	}{
		"between frames":         {whole, io.EOF, 2, io.EOF},
		"amid a header":          {whole[:len(whole)-6], io.EOF, 1, io.ErrUnexpectedEOF},
		"amid a frame":           {whole[:len(whole)-1], io.EOF, 1, io.ErrUnexpectedEOF},
		"amid a large frame":     {large[:readSmall], io.EOF, 0, io.ErrUnexpectedEOF},
		"a failure":              {whole, broken, 2, broken},
		"a failure amid a frame": {whole[:len(whole)-1], broken, 1, broken},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := received(&lastConn{t: t, b: test.b, err: test.err}, 1<<20, 0)
			testkit.WantExactly(t, err, test.want)
			testkit.Equal(t, len(got), test.frames)
		})
	}
}

// What First refuses is given out by nobody: these bytes are no frames.
func TestRefusedBytesAreNoFrames(t *testing.T) {
	refused := errors.New("refused")
	for _, first := range []string{"GET / HTTP/1.1\r\n", string(framesOf(1, 2, 5))} {
		tr, _, peer := spinOn(t)
		tr.first = func([]byte) error { return refused }
		_, err := peer.Write([]byte(first))
		testkit.Check(t, err)
		wantNothing(t, tr)
		testkit.WantExactly(t, tr.RecvErr(), refused)
		_, err = tr.Recv(newGate(), true)
		testkit.WantExactly(t, err, refused)
	}
}

// The loop that comes from outside is in the gate when Recv returns, on a conn that blocks, too.
func TestRecvFromOutsideOfOtherConns(t *testing.T) {
	a, b := testkit.Pair(t, "pipe")
	tr, gate := newTransport(t, a, Config{}), newGate()
	defer tr.Discard()
	gate.Leave()
	go b.Write(data(3, "x").Bytes())
	_, err := tr.Recv(gate, false)
	testkit.Check(t, err)
	testkit.Equal(t, gate.TryLock(), false)
}
