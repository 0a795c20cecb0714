//go:build go1.25

package conn

import (
	"io"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// What has come is received in its order, and then how the stream has ended.
func TestReceive(t *testing.T) {
	c, role, _ := onPipe(t, Config{})
	s, side := newStream(c, 1), &fakeSide{c: c}
	for _, text := range []string{"a", "b"} {
		testkit.Equal(t, deliver(c, 1, text), true)
	}
	testkit.Equal(t, len(role.ended), 0)
	last := testkit.Frame{ID: 1, Type: 3, Flags: wire.FlagRemoteClosed, Data: []byte("last")}
	testkit.Equal(t, c.HandleData(inbound(last.Bytes())), true)
	testkit.Equal(t, len(role.ended), 1)
	testkit.Equal(t, role.ended[0], s)
	s.CloseRecv(nil, nil)
	for _, text := range []string{"a", "b", "last"} {
		receive(t, s, side, text)
	}
	wantEnd(t, s, side, io.EOF)
	unread, _ := c.Buffered()
	testkit.Equal(t, unread, 0)
}

// Data of no call, and of one that has none, is not delivered.
func TestDataThatBelongsNowhere(t *testing.T) {
	c, role, _ := onPipe(t, Config{})
	c.Lock()
	c.RegisterLocked(1, noStream{})
	c.Unlock()
	for _, id := range []uint32{1, 3} {
		testkit.Equal(t, deliver(c, id, "x"), true)
	}
	testkit.Equal(t, role.refused, 2)
}

// After a Response that is a message comes io.EOF, after one that is an error that again.
func TestReceiveTheAnswer(t *testing.T) {
	for _, test := range []struct{ failure, then error }{{nil, io.EOF}, {errFirst, errFirst}} {
		c, _, _ := onPipe(t, Config{})
		s, side := newStream(c, 1), &fakeSide{c: c, answerErr: test.failure}
		s.CloseRecv(message("answer"), nil)
		var got string
		taken, err := s.Receive(side, &got)
		testkit.WantExactly(t, err, test.failure)
		testkit.Equal(t, got, "answer")
		testkit.Equal(t, taken, Received{Size: 6, WireSize: 16, Last: true})
		wantEnd(t, s, side, test.then)
	}
}

// Receive says what it has taken: also of a message that does not decode, which ends no stream.
func TestReceivedIsCounted(t *testing.T) {
	c, _, _ := onPipe(t, Config{})
	s, side := newStream(c, 1), &fakeSide{c: c}
	for i, text := range []string{"one", "three", ""} {
		deliver(c, 1, text)
		side.decodeErr = []error{errFirst, nil, nil}[i]
		got, err := s.Receive(side, new(string))
		testkit.WantExactly(t, err, side.decodeErr)
		testkit.Equal(t, got, Received{Size: len(text), WireSize: 10 + len(text), First: i == 0})
	}
	s.CloseRecv(nil, nil)
	got, err := s.Receive(side, new(string))
	testkit.WantExactly(t, err, io.EOF)
	testkit.Equal(t, got, Received{Last: true})
}

// Who waits for a message gives up when his side says so, but not where something has come, nor
// where the end has.
func TestReceiveIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := onPipe(t, Config{})
		s, side := newStream(c, 1), &fakeSide{c: c}
		received := make(chan error, 1)
		go func() {
			_, err := s.Receive(side, new(string))
			received <- err
		}()
		pending(t, received)
		side.interrupted = errFirst
		c.WakeStreams()
		testkit.WantExactly(t, <-received, errFirst)
		deliver(c, 1, "x")
		receive(t, s, side, "x")
		s.CloseRecv(nil, errSecond)
		wantEnd(t, s, side, errSecond)
	})
}

// Where the budget is short, streams are stopped, and those that are opened too. A consumer that
// has taken all that there is lets its sender go on.
func TestShortBudgetStopsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, role, other := onPipe(t, Config{ConnBuffer: 100, Extensions: peer.Known})
		s, side := newStream(c, 1), &fakeSide{c: c}
		newStream(c, 3)
		text := string(make([]byte, 40)) // with its header half of the budget
		deliver(c, 1, text)
		testkit.Equal(t, role.restrained, 1)
		stopped := map[uint32]bool{}
		for range 2 {
			h, _ := frame(t, other)
			testkit.Equal(t, h.Type, wire.TypeWindow)
			stopped[h.Stream] = true
		}
		testkit.Equal(t, len(stopped), 2)
		c.Lock()
		testkit.Equal(t, c.FirstLimitLocked(), 0)
		c.Unlock()
		receive(t, s, side, text)
		testkit.Equal(t, role.restrained, 2)
		c.Lock()
		testkit.Equal(t, c.FirstLimitLocked() > 1<<62, true)
		c.Unlock()
		h, _ := frame(t, other)
		testkit.Equal(t, h.Stream, 1)
	})
}

// A stream that is over has nothing told.
func TestNothingIsToldForAStreamThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := onPipe(t, Config{ConnBuffer: 100, Extensions: peer.Known})
		s := newStream(c, 1)
		c.Lock()
		c.ClaimLocked(1)
		c.Unlock()
		c.take(s, inbound(testkit.Data(1, string(make([]byte, 40)))))
		testkit.Equal(t, c.inflow.IsCrowded(), true)
		c.Restrain(s, transport.Unwritten{}).FlushLater()
		testkit.Equal(t, c.Transport().Posted(), 0)
	})
}
