//go:build go1.25

package conns

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
)

// listener hands out what a test puts in: a net.Conn, or an error.
type listener struct {
	next   chan any
	closed chan struct{}
	once   sync.Once
	fails  error // what the first Close fails with
}

func newListener() *listener {
	return &listener{next: make(chan any, 100), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case next := <-l.next:
		if conn, ok := next.(net.Conn); ok {
			return conn, nil
		}
		return nil, next.(error)
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() { close(l.closed); err = l.fails })
	return err
}

func (l *listener) Addr() net.Addr { return nil }

// conn counts how often it is closed.
type conn struct {
	net.Conn
	closed int
}

func (c *conn) Close() error { c.closed++; return nil }

type temporary bool

func (temporary) Error() string     { return "no descriptors left" }
func (t temporary) Temporary() bool { return bool(t) }

var errBroken = errors.New("broken")

// accepting has a listener's connections accepted.
type accepting struct {
	served chan net.Conn
	waits  chan time.Duration
	result chan error
}

func accept(s *Set[*fake], l net.Listener) *accepting {
	a := &accepting{make(chan net.Conn, 100), make(chan time.Duration, 100), make(chan error, 1)}
	go func() {
		a.result <- s.Accept(l, func(c net.Conn) { a.served <- c }, func(_ error, d time.Duration) { a.waits <- d })
	}()
	synctest.Wait()
	return a
}

// Each connection is served, until the listener fails: it is closed then, and others go on.
func TestAccept(t *testing.T) {
	for _, failed := range []error{errBroken, temporary(false)} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newSet(0)
			l, other := newListener(), newListener()
			a, b := accept(s, l), accept(s, other)
			first, second := new(conn), new(conn)
			l.next <- first
			l.next <- second
			l.next <- failed
			testkit.Equal(t, <-a.result, failed)
			testkit.Equal(t, <-a.served, net.Conn(first))
			testkit.Equal(t, <-a.served, net.Conn(second))
			testkit.Equal(t, isClosed(l.closed), true)
			testkit.Equal(t, len(a.waits), 0)
			testkit.Equal(t, len(s.listeners), 1)
			other.next <- first
			testkit.Equal(t, <-b.served, net.Conn(first))
			testkit.Check(t, s.Close())
			testkit.Equal(t, <-b.result, nil)
			testkit.Equal(t, first.closed+second.closed, 0)
		})
	}
}

// A failure that may pass is waited for, longer each time, and anew after a connection.
func TestAcceptWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newSet(0)
		l := newListener()
		for range 10 {
			l.next <- temporary(true)
		}
		l.next <- new(conn)
		l.next <- temporary(true)
		l.next <- errBroken
		start := time.Now()
		a := accept(s, l)
		testkit.Equal(t, <-a.result, errBroken)
		close(a.waits)
		var waits []time.Duration
		var sum time.Duration
		for d := range a.waits {
			waits, sum = append(waits, d/time.Millisecond), sum+d
		}
		testkit.Equal(t, fmt.Sprintf("%d", waits), "[5 10 20 40 80 160 320 640 1000 1000 5]")
		testkit.Equal(t, time.Since(start), sum)
	})
}

// Close ends the accepting, whatever it waits for.
func TestCloseEndsAccept(t *testing.T) {
	for name, prepare := range map[string]func(s *Set[*fake], l *listener){
		"in Accept":            func(*Set[*fake], *listener) {},
		"after a failure":      func(_ *Set[*fake], l *listener) { l.next <- temporary(true) },
		"without a slot":       func(s *Set[*fake], _ *listener) { s.TakeSlot() },
		"closed before":        func(s *Set[*fake], _ *listener) { _ = s.Close() },
		"with a failing Close": func(_ *Set[*fake], l *listener) { l.fails = errBroken },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := newSet(1)
				l := newListener()
				prepare(s, l)
				a := accept(s, l)
				start := time.Now()
				testkit.Equal(t, s.Close(), l.fails)
				testkit.Equal(t, <-a.result, nil)
				testkit.Equal(t, time.Since(start), 0)
				testkit.Equal(t, isClosed(l.closed), true)
				testkit.Equal(t, len(a.served), 0)
				testkit.Check(t, s.Close())
			})
		})
	}
}

// Whoever closes the set first closes the listeners, and nobody else does.
func TestCloseClosesListenersOnce(t *testing.T) {
	s, _ := newSet(0)
	broken := &listener{closed: make(chan struct{}), fails: errBroken}
	testkit.Equal(t, s.addListener(newListener()) && s.addListener(broken), true)
	testkit.Equal(t, s.Close(), errBroken)
	broken.once = sync.Once{}
	broken.closed = make(chan struct{})
	testkit.Check(t, s.Close())
	testkit.Equal(t, isClosed(broken.closed), false)
}

// That a listener is closed already, by its user or by Accept, is no failure.
func TestCloseOfAClosedListener(t *testing.T) {
	s, _ := newSet(0)
	l := newListener()
	testkit.Equal(t, s.addListener(l), true)
	testkit.Check(t, l.Close())
	testkit.Check(t, s.Close())
}

// With a bound nothing is accepted until there is a slot. A connection that another listener's has
// beaten to it waits, and is closed at the end.
func TestAcceptWithABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newSet(1)
		l, other := newListener(), newListener()
		a, b := accept(s, l), accept(s, other)
		first, second, third, late := new(conn), new(conn), new(conn), new(conn)
		l.next <- first
		synctest.Wait()
		l.next <- second    // which is not accepted
		other.next <- third // which is, for there was a slot when Accept was called
		synctest.Wait()
		testkit.Equal(t, <-a.served, net.Conn(first))
		testkit.Equal(t, len(a.served)+len(b.served), 0)
		testkit.Equal(t, len(l.next), 1)
		testkit.Equal(t, len(other.next), 0)
		s.FreeSlot()
		synctest.Wait()
		testkit.Equal(t, len(a.served)+len(b.served), 1)
		s.FreeSlot()
		synctest.Wait()
		testkit.Equal(t, len(a.served), 1)
		testkit.Equal(t, len(b.served), 1)
		other.next <- late
		testkit.Check(t, s.Close())
		testkit.Equal(t, <-a.result, nil)
		testkit.Equal(t, <-b.result, nil)
		testkit.Equal(t, first.closed+second.closed+third.closed, 0)
		testkit.Equal(t, len(b.served), 1)
	})
}

// A connection that was accepted without a slot is closed when the set is.
func TestCloseOfAConnectionWithoutASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newSet(1)
		l := newListener()
		a := accept(s, l)
		testkit.Equal(t, s.TakeSlot(), true)
		c := new(conn)
		l.next <- c
		synctest.Wait()
		testkit.Equal(t, len(l.next), 0)
		testkit.Check(t, s.Close())
		testkit.Equal(t, <-a.result, nil)
		testkit.Equal(t, c.closed, 1)
		testkit.Equal(t, len(a.served), 0)
	})
}
