// Package pipe is a connection in memory that misbehaves on command: for tests. Its bytes are
// buffered, like a socket's, and it can be told to delay, split, stall, cut or reset, at once or at
// chosen offsets. It waits on condition variables and timers alone, so it works in the bubbles of
// testing/synctest. Package ttrpctest gives it to users.
package pipe

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Addr is the address of both ends.
type Addr struct{}

// Network returns "pipe".
func (Addr) Network() string { return "pipe" }

// String returns "pipe".
func (Addr) String() string { return "pipe" }

// New returns the two ends of a connection. there is how bytes behave that a writes, back those
// that b writes.
func New(there, back Options) (a, b *Conn) {
	p := &state{}
	p.changed.L = &p.mu
	ab, ba := newDirection(there), newDirection(back)
	a = &Conn{p: p, in: ba, out: ab}
	b = &Conn{p: p, in: ab, out: ba}
	return a, b
}

// state is what both ends share: one lock and one condition for everything, which is slow and
// simple.
type state struct {
	mu      sync.Mutex // guards all of both directions and both ends
	changed sync.Cond
	reset   bool
}

// waitLocked returns when something has changed, or after d if that is not zero.
func (p *state) waitLocked(d time.Duration) {
	if d > 0 {
		timer := time.AfterFunc(d, p.announce)
		defer timer.Stop()
	}
	p.changed.Wait()
}

func (p *state) announce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

// Conn is one end. Its methods may be called at once, like any net.Conn's.
type Conn struct {
	p       *state
	in, out *direction

	// The lock of p guards all below.
	closed          bool
	writing         bool  // a Write is under way: the bytes of two do not mix
	writeErr        error // what writes fail with from now on
	readBy, writeBy deadline
}

// deadline is a time at which those who wait look again.
type deadline struct {
	at    time.Time
	timer *time.Timer // nil: at is zero, or was over when it was set
}

func (d *deadline) isOver() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set replaces the deadline. Nobody is woken for the old one any more.
func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at, d.timer = t, nil
	if left := time.Until(t); !t.IsZero() && left > 0 {
		d.timer = time.AfterFunc(left, wake)
	}
}

// Read waits for bytes, the end, the deadline.
func (c *Conn) Read(b []byte) (int, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for {
		if err := c.failedLocked(&c.readBy); err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return 0, nil
		}
		n, wait, err := c.in.takeLocked(b)
		if n > 0 || err != nil {
			c.p.changed.Broadcast()
			return n, err
		}
		c.p.waitLocked(wait)
	}
}

// failedLocked is why a read or a write returns at once.
func (c *Conn) failedLocked(by *deadline) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.p.reset:
		return syscall.ECONNRESET
	case by.isOver():
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (c *Conn) writeFailedLocked() error {
	switch err := c.failedLocked(&c.writeBy); {
	case err != nil:
		return err
	case c.writeErr != nil:
		return c.writeErr
	case c.out.ended:
		return syscall.EPIPE
	}
	return nil
}

// Write waits for space, the end, the deadline.
func (c *Conn) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for c.writing {
		if err := c.writeFailedLocked(); err != nil {
			return 0, err
		}
		c.p.changed.Wait()
	}
	c.writing = true
	defer func() {
		c.writing = false
		c.p.changed.Broadcast()
	}()
	total := 0
	for {
		if err := c.writeFailedLocked(); err != nil {
			return total, err
		}
		if len(b) == 0 {
			return total, nil
		}
		n, moved := c.putLocked(b)
		total, b = total+n, b[n:]
		if moved {
			c.p.changed.Broadcast()
		} else {
			c.p.changed.Wait()
		}
	}
}

// Close ends both directions: the peer reads what is under way, and then io.EOF. What it writes
// fails.
func (c *Conn) Close() error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	c.out.endLocked()
	c.in.ended = true
	c.readBy.set(time.Time{}, nil)
	c.writeBy.set(time.Time{}, nil)
	c.p.changed.Broadcast()
	return nil
}

// CloseWrite ends what this end sends.
func (c *Conn) CloseWrite() error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.happenLocked(Fault{Kind: Cut})
	return nil
}

// Closed reports whether this end has been closed.
func (c *Conn) Closed() bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.closed
}

// LocalAddr returns an Addr.
func (c *Conn) LocalAddr() net.Addr { return Addr{} }

// RemoteAddr returns an Addr.
func (c *Conn) RemoteAddr() net.Addr { return Addr{} }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.readBy, &c.writeBy)
}

// SetReadDeadline ends reads at t; a zero t is none.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.readBy) }

// SetWriteDeadline ends writes at t; a zero t is none.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writeBy) }

func (c *Conn) setDeadlines(t time.Time, which ...*deadline) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	for _, by := range which {
		by.set(t, c.p.announce)
	}
	c.p.changed.Broadcast()
	return nil
}
