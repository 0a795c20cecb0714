//go:build go1.25

package clientconn

import (
	"context"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// side is a stream's side.
type side struct {
	*rig
	ctx context.Context
	s   *conn.Stream
}

func (p side) RefuseLocked(last bool) error { return p.Conn.RefuseLocked(p.ctx, p.s, last) }

func (p side) PostLocked(f *wire.Frame) (transport.Unwritten, error) {
	return p.PostStreamLocked(p.s, f)
}

func (p side) send() error {
	return p.s.SendWritten(p.ctx, p, wire.ControlFrame(wire.TypeData, 0, nil))
}

func (p side) closeSend() error { return p.CloseSend(p.ctx, p.s, p) }

// A stream sends until it has said that it sends nothing more, which it may say again.
func TestSendAndCloseSend(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		p := side{r, bg, r.stream(t, conn.BidiStream)}
		testkit.Check(t, p.send())
		testkit.Check(t, p.closeSend())
		r.wantSent(t, "request 1 flags 0", "data 1 flags 0", "data 1 flags 5")
		testkit.WantExactly(t, p.send(), callerr.ErrStreamClosed)
		testkit.WantExactly(t, p.closeSend(), callerr.ErrStreamClosed)
		r.wantSent(t)
	})
}

// On a stream that is over nothing is sent, and a message learns why.
func TestSendOnAStreamThatIsOver(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(r *rig, p side)
		want error
		last error // of CloseSend
	}{
		"its server's end": {func(r *rig, p side) { r.answer(t, response(1)) }, callerr.ErrStreamClosed, nil},
		"its own":          {func(r *rig, p side) { r.GiveUp(1, errFirst) }, errFirst, nil},
		"its context's":    {func(r *rig, p side) { r.claim(1) }, context.DeadlineExceeded, nil},
		"the connection's": {func(r *rig, p side) { r.End(transport.ErrDone, errEnded, false) }, callerr.ErrClosed, callerr.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, peer.Off, func(t *testing.T, r *rig) {
				ctx, cancel := context.WithTimeout(bg, time.Second)
				defer cancel()
				p := side{r, ctx, r.stream(t, conn.BidiStream)}
				test.end(r, p)
				if name == "its context's" {
					<-ctx.Done()
					r.Lock()
					testkit.WantExactly(t, p.RefuseLocked(false), test.want)
					r.Unlock()
				} else {
					testkit.WantExactly(t, p.send(), test.want)
				}
				testkit.WantExactly(t, p.closeSend(), test.last)
			})
		})
	}
}

// What can't be posted returns what calls return on a connection that has ended.
func TestPostAfterTheEndOfWriting(t *testing.T) {
	inBubble(t, peer.Off, func(t *testing.T, r *rig) {
		p := side{r, bg, r.stream(t, conn.BidiStream)}
		r.Transport().Stop(transport.ErrDone)
		testkit.WantExactly(t, p.closeSend(), callerr.ErrClosed)
	})
}
