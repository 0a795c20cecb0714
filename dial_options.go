package ttrpc

import (
	"context"
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/redial"
)

// forDial is an option of Dial alone: NewClient ignores it.
func forDial(set func(*dialConfig)) ClientOpts {
	return func(c *Client) {
		if r, ok := c.redial.(*reconnector); ok {
			set(&r.dialConfig)
		}
	}
}

// WithDialer has [Dial] make its connections with dial, which is given the target as it is, and may
// be any text then. Its ctx has the values of Dial's; it ends with [Client.Close], and after the
// time of [WithConnectTimeout]. dial is called by one goroutine at a time. NewClient ignores this
// option.
func WithDialer(dial func(ctx context.Context, target string) (net.Conn, error)) ClientOpts {
	return forDial(func(c *dialConfig) { c.dial = dial })
}

// WithBackoff sets how long a client of [Dial] waits between attempts that fail. NewClient ignores
// this option.
func WithBackoff(b Backoff) ClientOpts {
	return forDial(func(c *dialConfig) { c.backoff = redial.Backoff(b).WithDefaults() })
}

// WithConnectTimeout bounds each attempt of a client of [Dial] to get a connection, the handshake
// of [WithClientHandshaker] included; by default it is 20 seconds, 0 is no bound. NewClient ignores
// this option.
func WithConnectTimeout(d time.Duration) ClientOpts {
	return forDial(func(c *dialConfig) { c.connectTimeout = d })
}

// WithWaitForReady has all calls of a client of [Dial] wait for a connection, for as long as their
// context lets them, in place of failing when an attempt to connect fails. [WaitForReady] does the
// same for one call. NewClient ignores this option.
func WithWaitForReady() ClientOpts {
	return forDial(func(c *dialConfig) { c.waitForReady = true })
}

// WithStateCallback has f called with each new state of a client of [Dial], in their order, one
// call at a time, on a goroutine of its own and under no lock: f may use the client, and may be
// late. The error is why there is no connection, and nil where that is no failure; for StateClosed
// it is [Client.Err]'s. After StateClosed, which is the last, the callback of [WithOnClose] comes.
// NewClient ignores this option.
func WithStateCallback(f func(ConnState, error)) ClientOpts {
	return forDial(func(c *dialConfig) { c.onState = f })
}

// WaitForReady returns a context with which calls and streams of a client of [Dial] wait for a
// connection, for as long as ctx lets them. On a client of [NewClient] it has no effect.
func WaitForReady(ctx context.Context) context.Context {
	return redial.WaitForReady(ctx)
}
