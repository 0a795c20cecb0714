//go:build go1.25

package clientconn

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
)

// The first end counts, and all calls have its error.
func TestEnd(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		unary, s := r.unary(t), r.stream(t, conn.BidiStream)
		calls, first := r.End(errFirst, errEnded, true)
		testkit.Equal(t, len(calls), 2)
		testkit.Equal(t, first, true)
		testkit.WantExactly(t, s.Failure(), errEnded)
		testkit.WantExactly(t, unary.Failure(), errEnded)
		calls, first = r.End(errEnded, errFirst, true)
		testkit.Equal(t, len(calls), 0)
		testkit.Equal(t, first, false)
		testkit.WantExactly(t, r.Cause(), errFirst)
	})
}

// With linger the end waits for what streams have sent, but no longer than some time.
func TestEndLingers(t *testing.T) {
	for _, linger := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b := testkit.Pair(t, "pipe") // which nobody reads
			defer b.Close()
			c := new(Conn)
			c.Init(a, &fakeOwner{c, make(chan error, 10)}, false)
			c.Open(a, &conn.Config{MaxRecv: maxRecv, Backlog: 1 << 20, StreamBuffer: 1 << 20, ConnBuffer: 1 << 20})
			go c.Read()
			c.Lock()
			posted, err := c.PostStreamLocked(new(conn.Stream), request())
			c.Unlock()
			testkit.Check(t, err)
			posted.FlushLater()
			began := time.Now()
			c.End(errFirst, errEnded, linger)
			testkit.Equal(t, time.Since(began) > 0, linger)
		})
	}
}

// Where the peer has closed, what it has sent before is still read, for some time. Any other
// failure of writing is the end.
func TestEndOfWriting(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.writeFailed(syscall.EPIPE)
		r.wantUp(t)
		<-time.NewTimer(2 * transport.LingerTimeout).C
		r.wantCause(t, syscall.EPIPE)
	})
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		r.writeFailed(errFirst)
		r.wantCause(t, errFirst)
	})
}

// A call whose Request can't have been written has an error that says so. What is being written at
// the end may reach the server.
func TestEndOfCallsThatWereNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := testkit.Pair(t, "pipe") // which nobody reads
		defer b.Close()
		c := new(Conn)
		r := &rig{Conn: c, owner: &fakeOwner{c, make(chan error, 10)}}
		c.Init(a, r.owner, true)
		c.Open(a, &conn.Config{MaxRecv: maxRecv, Backlog: 1 << 20, StreamBuffer: 1 << 20, ConnBuffer: 1 << 20})
		go c.Read()
		begin := func() *conn.Stream {
			ctx, cancel := context.WithCancel(bg) // so that another goroutine writes
			defer cancel()
			s := r.newStream(conn.BidiStream)
			testkit.Check(t, c.Begin(ctx, s, request()))
			synctest.Wait()
			return s
		}
		first, second := begin(), begin()
		c.End(io.EOF, errEnded, false)
		testkit.WantExactly(t, first.Failure(), errEnded)
		testkit.Equal(t, callerr.NotSent(second.Failure()), true)
		testkit.Equal(t, errors.Is(second.Failure(), callerr.ErrClosed), true)
		testkit.Equal(t, errors.Is(second.Failure(), io.EOF), false)
		c.Lock()
		defer c.Unlock()
		testkit.Equal(t, callerr.NotSent(c.RefuseLocked(bg, first, false)), false)
		testkit.Equal(t, callerr.NotSent(c.RefuseLocked(bg, second, false)), true)
		_, err := c.PostStreamLocked(second, request())
		testkit.Equal(t, callerr.NotSent(err), true)
		_, err = c.PostStreamLocked(first, request())
		testkit.Equal(t, callerr.NotSent(err), false)
	})
}
