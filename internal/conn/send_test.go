//go:build go1.25

package conn

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// sends has another goroutine send a message, whose result is to come.
func sends(ctx context.Context, s *Stream, side Sender, text string) (result chan error) {
	result = make(chan error, 1)
	go func() { result <- s.SendWritten(ctx, side, message(text)) }()
	return result
}

// pending wants that nothing has come, in a bubble in which all wait.
func pending[T any](t *testing.T, ch <-chan T) {
	t.Helper()
	synctest.Wait()
	select {
	case v := <-ch:
		t.Fatalf("it has come: %v", v)
	default:
	}
}

// A message waits while the peer takes none, and goes out when it is told more.
func TestSendWaitsForTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, other := onPipe(t, Config{})
		s, side := newStream(c, 1), &fakeSide{c: c}
		c.HandleControl(inbound(wire.WindowFrame(1, 5).Bytes()))
		first := sends(context.Background(), s, side, "first") // begun below the limit
		h, data := frame(t, other)
		testkit.Equal(t, h.Stream, 1)
		testkit.Equal(t, data, "first")
		testkit.Check(t, <-first)
		second := sends(context.Background(), s, side, "second")
		pending(t, second)
		c.HandleControl(inbound(wire.WindowFrame(3, 100).Bytes())) // of nobody
		c.HandleControl(inbound(wire.WindowFrame(1, 4).Bytes()))
		c.HandleControl(inbound(wire.ControlFrame(wire.TypeWindow, 1, []byte("short")).Bytes()))
		pending(t, second)
		c.HandleControl(inbound(wire.WindowFrame(1, 100).Bytes()))
		_, data = frame(t, other)
		testkit.Equal(t, data, "second")
		testkit.Check(t, <-second)
		c.Lock()
		defer c.Unlock()
		testkit.Equal(t, s.ProgressLocked().Sent.Bytes, uint64(len("firstsecond")+2*wire.HeaderLen))
	})
}

// Who waits to send goes on when the stream is over, which its side refuses, or when his context
// ends. The last frame waits for nothing.
func TestSendStopsWaiting(t *testing.T) {
	over := func(s *Stream, side *fakeSide) {
		side.c.Lock()
		defer side.c.Unlock()
		side.c.ClaimLocked(s.ID())
		side.refusal = errFirst
	}
	for name, test := range map[string]struct {
		end  func(s *Stream, side *fakeSide, cancel func())
		want error
	}{
		"context":   {func(_ *Stream, _ *fakeSide, cancel func()) { cancel() }, context.Canceled},
		"CloseRecv": {func(s *Stream, side *fakeSide, _ func()) { over(s, side); s.CloseRecv(nil, nil) }, errFirst},
		"Discard":   {func(s *Stream, side *fakeSide, _ func()) { over(s, side); s.Discard(errSecond) }, errFirst},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, other := onPipe(t, Config{})
				s, side := newStream(c, 1), &fakeSide{c: c}
				c.HandleControl(inbound(wire.WindowFrame(1, 0).Bytes()))
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				sent := sends(ctx, s, side, "x")
				pending(t, sent)
				posted, err := s.PostLast(side, wire.EndFrame())
				testkit.Check(t, err)
				posted.FlushLater()
				h, _ := frame(t, other)
				testkit.Equal(t, h.Flags&wire.FlagRemoteClosed != 0, true)
				test.end(s, side, cancel)
				testkit.WantExactly(t, <-sent, test.want)
			})
		})
	}
}

// A message waits while others have filled half of the backlog.
func TestSendWaitsForTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, other := onPipe(t, Config{Backlog: 50})
		s, side := newStream(c, 1), &fakeSide{c: c}
		c.Lock()
		posted, err := c.PostLocked(message("something of others"))
		c.Unlock()
		testkit.Check(t, err)
		sent := sends(context.Background(), s, side, "x")
		pending(t, sent)
		posted.FlushLater()
		frame(t, other)
		h, _ := frame(t, other)
		testkit.Equal(t, h.Stream, 1)
		testkit.Check(t, <-sent)
	})
}
