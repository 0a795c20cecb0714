package pipe

import (
	"cmp"
	"slices"
	"time"
)

// Kind says what happens at a fault's offset.
type Kind uint8

const (
	Stall  Kind = iota // the bytes behind arrive later by Fault.For; when that is zero, with Resume
	Cut                // the reader gets io.EOF after the bytes before, the writer syscall.EPIPE
	Reset              // both ends fail with syscall.ECONNRESET at once, and what is under way is lost
	CutEnd             // the connection is cut in both directions
	Fail               // writes fail with Fault.Err, and the reader hears nothing of it
)

// String names the kind.
func (k Kind) String() string { return [...]string{"stall", "cut", "reset", "cut both", "fail"}[k] }

// Fault happens when At bytes of a direction have been written.
type Fault struct {
	At   int64
	Kind Kind
	For  time.Duration
	Err  error // of Fail
}

// Break makes a fault happen to what this end writes, when f.At more bytes have been written: now,
// if that is zero.
func (c *Conn) Break(f Fault) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if f.At <= 0 {
		c.happenLocked(f)
		return
	}
	f.At += c.out.written
	i, _ := slices.BinarySearchFunc(c.out.Faults, f.At+1, func(g Fault, at int64) int { return cmp.Compare(g.At, at) })
	c.out.Faults = slices.Insert(slices.Clone(c.out.Faults), i, f)
}

// Resume lets arrive what stalls of this end's bytes have kept back, and ends them.
func (c *Conn) Resume() { c.change(func() { c.out.resumeLocked() }) }

// SetDelay has the bytes that this end writes from now on arrive so much later.
func (c *Conn) SetDelay(by time.Duration) {
	c.change(func() { c.out.Delay = func() time.Duration { return by } })
}

// SetCapacity bounds how many bytes of this end's are under way; 0: 64 KiB.
func (c *Conn) SetCapacity(n int) { c.change(func() { c.out.setCapacityLocked(n) }) }

// SetMaxRead bounds what a Read of this end returns; 0: whatever there is.
func (c *Conn) SetMaxRead(n int) {
	c.change(func() {
		if c.in.Chunk = nil; n > 0 {
			c.in.Chunk = func() int { return n }
		}
	})
}

func (c *Conn) change(f func()) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	f()
	c.p.changed.Broadcast()
}

// putLocked accepts what there is space for, up to the next fault, which it makes happen when it is
// there. It reports whether anything has changed.
func (c *Conn) putLocked(b []byte) (n int, moved bool) {
	d := c.out
	if n = min(len(b), d.spaceLocked()); n > 0 {
		d.acceptLocked(b[:n])
	}
	for len(d.Faults) > 0 && d.Faults[0].At <= d.written {
		c.happenLocked(d.Faults[0])
		d.Faults = d.Faults[1:]
		moved = true
	}
	return n, moved || n > 0
}

func (c *Conn) happenLocked(f Fault) {
	switch f.Kind {
	case Stall:
		if f.For == 0 {
			c.out.stuck = true
		}
		c.out.laterLocked(f.For)
	case Cut:
		c.out.endLocked()
	case CutEnd:
		c.out.endLocked()
		c.in.endLocked()
	case Reset:
		c.p.reset = true
	case Fail:
		c.writeErr = f.Err
	}
	c.p.changed.Broadcast()
}
