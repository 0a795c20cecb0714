// Package pipe is a connection in memory that misbehaves on command: for tests. Its bytes are
// buffered, like a socket's, and it can be told to delay, split, stall, cut or reset at chosen
// offsets. It waits on condition variables and timers alone, so it works in the bubbles of
// testing/synctest.
package pipe

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// defaultCapacity is what a direction holds before its writer waits.
const defaultCapacity = 64 << 10

// Kind says what happens at a fault's offset.
type Kind uint8

const (
	Stall  Kind = iota // the bytes behind arrive later by Fault.For; never, when that is zero
	Cut                // the reader gets io.EOF after the bytes before, the writer syscall.EPIPE
	Reset              // both ends fail with syscall.ECONNRESET at once, and what is under way is lost
	CutEnd             // the connection is cut in both directions
)

// String names the kind.
func (k Kind) String() string { return [...]string{"stall", "cut", "reset", "cut both"}[k] }

// Fault happens when At bytes of a direction have been written.
type Fault struct {
	At   int64
	Kind Kind
	For  time.Duration
}

// Options are how one direction behaves; the zero value is a sound one.
type Options struct {
	Capacity int                  // bytes under way before the writer waits; 0: 64 KiB
	Chunk    func() int           // the most that the next Read returns; nil: whatever there is
	Delay    func() time.Duration // how much later the bytes of the next Write arrive; nil: at once
	Faults   []Fault              // in the order of their offsets
}

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

// direction is the bytes under way from one end to the other.
type direction struct {
	Options
	chunks  []chunk // in order of arrival
	held    int     // bytes in chunks
	written int64   // bytes ever accepted
	arrival time.Time
	stuck   bool // what is written from here on never arrives
	ended   bool // no more will be accepted; the reader gets io.EOF behind the chunks
}

type chunk struct {
	b  []byte
	at time.Time // when it can be read; zero: now
}

func newDirection(o Options) *direction {
	if o.Capacity == 0 {
		o.Capacity = defaultCapacity
	}
	return &direction{Options: o}
}

// Conn is one end. Its methods may be called at once, like any net.Conn's.
type Conn struct {
	p       *state
	in, out *direction

	closed          bool
	readBy, writeBy time.Time
}

// Read waits for bytes, the end, the deadline.
func (c *Conn) Read(b []byte) (int, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for {
		if err := c.failed(c.readBy); err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return 0, nil
		}
		n, wait := c.in.take(b)
		if n > 0 {
			c.p.changed.Broadcast()
			return n, nil
		}
		if c.in.ended && len(c.in.chunks) == 0 {
			return 0, io.EOF
		}
		c.p.wait(wait)
	}
}

// failed is why a read or a write returns at once.
func (c *Conn) failed(by time.Time) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.p.reset:
		return syscall.ECONNRESET
	case !by.IsZero() && !time.Now().Before(by):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// wait returns when something has changed, or after d if that is not zero. The lock is held.
func (p *state) wait(d time.Duration) {
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

// take reads what has arrived; with nothing there it says how long until something does, if that is
// known.
func (d *direction) take(b []byte) (n int, wait time.Duration) {
	if len(d.chunks) == 0 {
		return 0, 0
	}
	first := &d.chunks[0]
	if !first.at.IsZero() {
		if left := time.Until(first.at); left > 0 {
			return 0, left
		}
	}
	if d.Chunk != nil {
		b = b[:min(len(b), max(1, d.Chunk()))]
	}
	n = copy(b, first.b)
	first.b = first.b[n:]
	if len(first.b) == 0 {
		d.chunks = d.chunks[1:]
	}
	d.held -= n
	return n, 0
}

// Write waits for space, the end, the deadline.
func (c *Conn) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	total := 0
	for {
		if err := c.failed(c.writeBy); err != nil {
			return total, err
		}
		if c.out.ended {
			return total, syscall.EPIPE
		}
		if len(b) == 0 {
			return total, nil
		}
		n, moved := c.put(b)
		total, b = total+n, b[n:]
		if moved {
			c.p.changed.Broadcast()
		} else {
			c.p.changed.Wait()
		}
	}
}

// put accepts what there is space for, up to the next fault, which it makes happen when it is
// there. It reports whether anything has changed.
func (c *Conn) put(b []byte) (n int, moved bool) {
	d := c.out
	n = min(len(b), d.Capacity-d.held)
	if len(d.Faults) > 0 {
		n = min(n, int(d.Faults[0].At-d.written))
	}
	if n > 0 {
		d.accept(b[:n])
	}
	for len(d.Faults) > 0 && d.Faults[0].At <= d.written {
		c.happen(d.Faults[0])
		d.Faults = d.Faults[1:]
		moved = true
	}
	return n, moved || n > 0
}

func (d *direction) accept(b []byte) {
	d.written += int64(len(b))
	d.held += len(b)
	if d.stuck {
		return
	}
	if d.Delay != nil {
		d.later(d.Delay())
	}
	d.chunks = append(d.chunks, chunk{append([]byte(nil), b...), d.arrival})
}

// later puts off the arrival of what is written from here on: bytes never overtake others.
func (d *direction) later(by time.Duration) {
	if by <= 0 {
		return
	}
	if at := time.Now().Add(by); at.After(d.arrival) {
		d.arrival = at
	}
}

func (c *Conn) happen(f Fault) {
	switch f.Kind {
	case Stall:
		if f.For == 0 {
			c.out.stuck = true
		}
		c.out.later(f.For)
	case Cut:
		c.out.ended = true
	case CutEnd:
		c.out.ended, c.in.ended = true, true
	case Reset:
		c.p.reset = true
	}
	c.p.changed.Broadcast()
}

// Break makes a fault happen now, to what this end writes.
func (c *Conn) Break(f Fault) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.happen(f)
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
	c.out.ended, c.in.ended = true, true
	c.p.changed.Broadcast()
	return nil
}

// CloseWrite ends what this end sends.
func (c *Conn) CloseWrite() error {
	c.Break(Fault{Kind: Cut})
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

// setDeadlines wakes everybody at t: those who find their deadline changed meanwhile wait on.
func (c *Conn) setDeadlines(t time.Time, which ...*time.Time) error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	for _, by := range which {
		*by = t
	}
	c.p.changed.Broadcast()
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), c.p.announce)
	}
	return nil
}
