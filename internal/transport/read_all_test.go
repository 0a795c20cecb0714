//go:build go1.25

package transport

import (
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// openGate is for a test that is the only reader.
type openGate struct{}

func (openGate) TryEnter() bool { return true }
func (openGate) Enter()         {}
func (openGate) Leave()         {}

// TestTryRecvNowReadsAFrameToItsEnd: the poller has told of a frame that is larger than one read,
// and tells nobody again.
func TestTryRecvNowReadsAFrameToItsEnd(t *testing.T) {
	if !canTryIO {
		t.Skip("no descriptors here")
	}
	conn, peer := testkit.Pair(t, "unix")
	tr := newTransport(t, conn, Config{})
	defer tr.Discard()
	write := func(f testkit.Frame) {
		t.Helper()
		_, err := peer.Write(f.Bytes())
		testkit.Check(t, err)
	}
	write(data(1, "x"))
	_, err := tr.Recv(openGate{}, true) // the first bytes are the loop's
	testkit.Check(t, err)
	for _, size := range []int{readSmall, 2 * readSmall, firstPart} {
		write(data(3, string(make([]byte, size))))
		in := tr.TryRecvNow()
		if in == nil {
			t.Fatalf("a frame of %d bytes is left in the socket", size)
		}
		testkit.Equal(t, len(in.Data()), size)
	}
	testkit.Equal(t, tr.TryRecvNow(), nil)
}
