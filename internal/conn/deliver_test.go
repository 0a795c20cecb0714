//go:build go1.25

package conn

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// delivers has the reader, in another goroutine, deliver a message.
func delivers(c *Conn, id uint32, text string) (done chan bool) {
	done = make(chan bool, 1)
	go func() { done <- deliver(c, id, text) }()
	return done
}

// elapse lets time go by in a synctest bubble.
func elapse(d time.Duration) { <-time.NewTimer(d).C }

// A reader that has no room for a message waits until its consumer takes one.
func TestReaderWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, role, _ := onPipe(t, Config{StreamBuffer: 25, StallTimeout: time.Hour})
		s, side := newStream(c, 1), &fakeSide{c: c}
		deliver(c, 1, "1234567890")
		done := delivers(c, 1, "x")
		pending(t, done)
		receive(t, s, side, "1234567890")
		testkit.Equal(t, <-done, true)
		receive(t, s, side, "x")
		testkit.Equal(t, len(role.stalled), 0)
	})
}

// A stream is failed whose consumer has taken nothing for too long: after a time of its own where
// it is alone, and after a short one where others wait for the same reader.
func TestStalledStreamIsFailed(t *testing.T) {
	for _, test := range []struct {
		others  int
		timeout time.Duration // for one that is alone
		want    time.Duration // 0: never
	}{
		{0, 10 * time.Second, 10 * time.Second},
		{1, 10 * time.Second, sharedStallTimeout},
		{0, 0, 0},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, role, _ := onPipe(t, Config{StreamBuffer: 25, StallTimeout: test.timeout})
				s := newStream(c, 1)
				for id := range uint32(test.others) {
					newStream(c, 3+2*id)
				}
				deliver(c, 1, "1234567890")
				done := delivers(c, 1, "x")
				if test.want == 0 {
					elapse(time.Hour)
					pending(t, done)
					c.Close(errFirst, errFirst, func(Call) {})
					<-done
					testkit.Equal(t, len(role.stalled), 0)
					return
				}
				elapse(test.want - time.Millisecond)
				pending(t, done)
				elapse(time.Millisecond)
				testkit.Equal(t, <-done, true)
				testkit.Equal(t, len(role.stalled), 1)
				testkit.Equal(t, role.stalled[0], s)
			})
		})
	}
}

// Where the connection's buffer is full the stream is failed that has been idle for longest,
// whoever's message has no room.
func TestLongestIdleStreamIsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, role, _ := onPipe(t, Config{ConnBuffer: 50})
		idle, busy := newStream(c, 1), newStream(c, 3)
		deliver(c, 1, "1234567890")
		elapse(time.Second / 2)
		deliver(c, 3, "1234567890")
		testkit.Equal(t, <-delivers(c, 3, "another one"), true)
		testkit.Equal(t, len(role.stalled), 1)
		testkit.Equal(t, role.stalled[0], idle)
		receive(t, busy, &fakeSide{c: c}, "1234567890")
	})
}

// A consumer that takes a message just before it would be given up has its time again.
func TestConsumerThatTakesHasTimeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, role, _ := onPipe(t, Config{StreamBuffer: 45, StallTimeout: time.Second})
		s, side := newStream(c, 1), &fakeSide{c: c}
		for range 2 { // which share a buffer: to take the first makes no room
			deliver(c, 1, "1234567890")
		}
		done := delivers(c, 1, "x")
		elapse(time.Second - stallGrace/2)
		receive(t, s, side, "1234567890")
		elapse(time.Second - time.Millisecond)
		pending(t, done)
		testkit.Equal(t, <-done, true)
		testkit.Equal(t, len(role.stalled), 1)
	})
}

// What either side may be sent is answered here, and the rest is for the role.
func TestControl(t *testing.T) {
	c, role, other := onPipe(t, Config{})
	c.HandleControl(inbound(wire.ControlFrame(wire.TypePing, 1, []byte("12345678")).Bytes()))
	h, data := frame(t, other)
	testkit.Equal(t, h.Type, wire.TypePong)
	testkit.Equal(t, data, "12345678")
	for _, f := range []*wire.Frame{wire.WindowFrame(0, 1), wire.GoAwayFrame(1), wire.CancelFrame(1, false)} {
		c.HandleControl(inbound(f.Bytes()))
	}
	testkit.Equal(t, len(role.extensions), 3)
}

// The role hears of a peer that answers no Ping.
func TestPeerSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep := func(l *peer.Liveness) { peer.Keep(l, time.Second, 2*time.Second) }
		config := Config{Keepalive: keep, Extensions: peer.Known}
		c, role, other := onPipe(t, config)
		h, _ := frame(t, other)
		testkit.Equal(t, h.Type, wire.TypePing)
		elapse(2*time.Second + time.Second/2)
		synctest.Wait()
		c.Close(errFirst, errFirst, func(Call) {})
		testkit.Equal(t, fmt.Sprint(role.silent), "[2s]")
	})
}
