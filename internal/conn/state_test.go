//go:build go1.25

package conn

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
)

// Each event in each state does what the table says.
func TestEachTransitionOfTheTable(t *testing.T) {
	to := map[State]func(*Conn){
		Handshake: func(c *Conn) { c.state = Handshake },
		Open:      func(*Conn) {},
		Draining:  func(c *Conn) { c.DrainLocked() },
		Flushing:  func(c *Conn) { c.DrainLocked(); c.CloseIfDoneLocked() },
		Left:      func(c *Conn) { c.DrainLocked(); c.LeaveLocked() },
		Closed:    func(c *Conn) { c.state = Closed },
	}
	for name, e := range map[string]struct {
		event func(c *Conn)
		goes  map[State]State
	}{
		"OpenLocked": {func(c *Conn) {
			c.OpenLocked(c.netConn, new(fakeRole), &Config{OnFail: func(error) {}})
		}, map[State]State{Handshake: Open}},
		"DrainLocked":       {func(c *Conn) { c.DrainLocked() }, map[State]State{Open: Draining}},
		"CloseIfDoneLocked": {(*Conn).CloseIfDoneLocked, map[State]State{Draining: Flushing}},
		"LeaveLocked":       {(*Conn).LeaveLocked, map[State]State{Draining: Left}},
		"Close": {func(c *Conn) {
			c.Unlock()
			defer c.Lock()
			c.Close(errFirst, errFirst, func(Call) {})
		}, map[State]State{Handshake: Closed, Open: Closed, Draining: Closed, Flushing: Closed, Left: Closed}},
	} {
		for from, bring := range to {
			t.Run(fmt.Sprint(name, " ", uint8(from)), func(t *testing.T) {
				c, _, _ := onPipe(t, Config{})
				c.Lock()
				defer c.Unlock()
				bring(c)
				testkit.Equal(t, c.StateLocked(), from)
				e.event(c)
				want, moves := e.goes[from]
				if !moves {
					want = from
				}
				testkit.Equal(t, c.StateLocked(), want)
			})
		}
	}
}

// Opening and draining tell whether they are news.
func TestOpenAndDrainOnce(t *testing.T) {
	c, _, _ := onPipe(t, Config{})
	c.Lock()
	defer c.Unlock()
	testkit.Equal(t, c.OpenLocked(c.netConn, new(fakeRole), new(Config)), false)
	testkit.Equal(t, c.DrainLocked(), true)
	testkit.Equal(t, c.DrainLocked(), false)
}

// A connection that drains closes with its last call, and when all is written.
func TestDrainingEndsWithTheLastCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		c, _, _ := onPipe(t, Config{OnFail: func(err error) { failed <- err }})
		newStream(c, 1)
		newStream(c, 3)
		c.Lock()
		defer c.Unlock()
		c.DrainLocked()
		for _, id := range []uint32{1, 3} {
			c.CloseIfDoneLocked()
			testkit.Equal(t, c.StateLocked(), Draining)
			c.ClaimLocked(id)
		}
		c.CloseIfDoneLocked()
		testkit.Equal(t, c.StateLocked(), Flushing)
		testkit.WantExactly(t, <-failed, transport.ErrDone)
	})
}

// The first cause counts, and the calls in flight are claimed once.
func TestCloseClaimsTheCalls(t *testing.T) {
	c, _, _ := onPipe(t, Config{})
	s := newStream(c, 1)
	newStream(c, 3)
	var claimed []Call
	closed := func(cause, ended error) bool {
		return c.Close(cause, ended, func(call Call) { claimed = append(claimed, call) })
	}
	testkit.Equal(t, closed(errFirst, errSecond), true)
	testkit.Equal(t, len(claimed), 2)
	testkit.Equal(t, closed(errSecond, errFirst), false)
	testkit.Equal(t, len(claimed), 2)
	testkit.WantExactly(t, c.Liveness().Ping(context.Background()), errSecond)
	testkit.WantExactly(t, c.Cause(), errFirst)
	c.Lock()
	defer c.Unlock()
	testkit.WantExactly(t, c.CauseLocked(), errFirst)
	testkit.Equal(t, c.InFlightLocked(), 0)
	testkit.Equal(t, c.ClaimLocked(1), nil)
	testkit.Equal(t, c.IsLiveLocked(s), false)
}
