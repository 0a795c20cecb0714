//go:build go1.25

package handshake

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
)

// by is a handshaker that is a function.
type by func(ctx context.Context, conn net.Conn) (net.Conn, any, error)

func (f by) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) { return f(ctx, conn) }

// A handshake that takes too long fails, also when it says at last that it has succeeded.
func TestRunFailsAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := testkit.Pair(t, "pipe")
		ctx, cancel := context.WithCancel(context.Background())
		began := time.Now()
		used, _, err := Run(ctx, cancel, by(func(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
			<-ctx.Done()
			return conn, nil, nil
		}), conn, time.Minute)
		testkit.WantExactly(t, err, errTimeout)
		testkit.Equal(t, used, nil)
		testkit.Equal(t, time.Since(began), time.Minute)
	})
}

// What a handshake returns in its time is what is used, if there is anything.
func TestRunReturnsWhatTheHandshakeDoes(t *testing.T) {
	conn, other := testkit.Pair(t, "pipe")
	refused := errors.New("refused")
	for _, c := range []struct {
		used      net.Conn
		err, want error
	}{{other, nil, nil}, {nil, nil, errNilConn}, {conn, refused, refused}} {
		h := by(func(context.Context, net.Conn) (net.Conn, any, error) { return c.used, "peer", c.err })
		used, data, err := Run(context.Background(), func() {}, h, conn, time.Minute)
		testkit.WantExactly(t, err, c.want)
		if err == nil {
			testkit.Equal(t, used, c.used)
			testkit.Equal(t, data, any("peer"))
		}
	}
}

// The context of a server's handshaker ends with the connection while the handshake runs, and is
// that of Serve afterwards.
func TestContextOfAServersHandshaker(t *testing.T) {
	conn, _ := testkit.Pair(t, "pipe")
	base, endServe := context.WithCancel(context.Background())
	running, cancel := context.WithCancel(base)
	var kept context.Context
	_, _, err := RunServers(base, running, cancel, by(func(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
		kept = ctx
		cancel()
		<-ctx.Done()
		testkit.WantExactly(t, ctx.Err(), context.Canceled)
		return conn, nil, nil
	}), conn, 0)
	testkit.Check(t, err)
	testkit.Check(t, kept.Err())
	endServe()
	<-kept.Done()
	testkit.WantExactly(t, kept.Err(), context.Canceled)
}
