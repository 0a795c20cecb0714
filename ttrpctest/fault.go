package ttrpctest

import (
	"time"

	"github.com/containerd/ttrpc/internal/pipe"
)

// SetDelay has what this end writes arrive so much later, its end included. Bytes do not overtake
// others. Zero is no delay.
func (c *Conn) SetDelay(d time.Duration) { c.end.SetDelay(d) }

// SetBuffer sets how many bytes of this end's may be under way before Write waits; zero is 64 KiB.
// With a small one a Write that a deadline interrupts has written a part.
func (c *Conn) SetBuffer(n int) { c.end.SetCapacity(n) }

// SetMaxRead sets how many bytes a Read of this end returns at most, whatever has arrived; zero is
// no bound. With 1 each byte comes alone.
func (c *Conn) SetMaxRead(n int) { c.end.SetMaxRead(n) }

// Stall keeps back what this end writes from now on, its end included, until [Conn.Resume]. Write
// goes on until the buffer is full, as with a peer whose network is gone.
func (c *Conn) Stall() { c.end.Break(pipe.Fault{Kind: pipe.Stall}) }

// StallAfter is [Conn.Stall] when n more bytes have been written.
func (c *Conn) StallAfter(n int64) { c.end.Break(pipe.Fault{At: n, Kind: pipe.Stall}) }

// Resume lets arrive what Stall has kept back, and all that follows.
func (c *Conn) Resume() { c.end.Resume() }

// CutAfter ends the connection when this end has written n more bytes, which arrive, and nothing
// behind them: both ends read what is under way and then io.EOF, and writes fail with EPIPE. So it
// is when the process at one end dies. Zero cuts now.
func (c *Conn) CutAfter(n int64) { c.end.Break(pipe.Fault{At: n, Kind: pipe.CutEnd}) }

// ResetAfter resets the connection when this end has written n more bytes: at both ends reads and
// writes fail with ECONNRESET at once, and what is under way is lost. Zero resets now.
func (c *Conn) ResetAfter(n int64) { c.end.Break(pipe.Fault{At: n, Kind: pipe.Reset}) }

// FailWriteAfter has writes of this end fail with err when n more bytes have been written. The
// Write that comes so far returns how many of its bytes it has written, which arrive. The peer
// hears nothing of the failure: the connection stays open.
func (c *Conn) FailWriteAfter(n int64, err error) {
	c.end.Break(pipe.Fault{At: n, Kind: pipe.Fail, Err: err})
}
