package ttrpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/redial"
)

var errDialNilConn = errors.New("the dialer returned neither a connection nor an error")

// reconnector is the redialer of a client of Dial: what internal/redial has to know of clients, and
// what callers are told of its failures.
type reconnector struct {
	dialConfig
	client *Client // whose connections these are
	*redial.Redialer[*Client]
}

// start makes the Redialer, when the options are known.
func (r *reconnector) start(ctx context.Context) {
	config := redial.Config[*Client]{
		Connect:      r.connect,
		Timeout:      r.connectTimeout,
		Close:        func(c *Client) { c.Close() },
		Leave:        func(c *Client) { c.conn.Leave() },
		Refusal:      refusal,
		Failed:       r.failed,
		Unsent:       r.unsent,
		Backoff:      r.backoff,
		WaitForReady: r.waitForReady,
		Done:         r.client.finishClose,
	}
	if tell := r.onState; tell != nil {
		config.Tell = func(s redial.State, why error) { tell(ConnState(s), why) }
	}
	r.Redialer = redial.New(ctx, config)
}

// refusal is why a connection has not sent a call, by the call's error; nil: it may have.
func refusal(err error) error {
	if !NotSent(err) {
		return nil
	}
	return callerr.CauseOf(err)
}

// connect dials, and has the new connection shake hands.
func (r *reconnector) connect(ctx context.Context, ended func(error)) (*Client, error) {
	conn, err := r.dial(ctx, r.target)
	if err != nil {
		return nil, err
	}
	if isNil(conn) {
		return nil, errDialNilConn
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // a handshake has a context of its own
	c := r.connection(ended)
	c.start(conn)
	if !stop() {
		c.Close()
		return nil, ctx.Err()
	}
	if c.Err() != nil {
		return nil, endOf(c)
	}
	return c, nil
}

// connection makes the Client of a connection. It has the options of r's, but for those that r's
// sees to.
func (r *reconnector) connection(ended func(error)) *Client {
	c := &Client{clientConfig: r.client.clientConfig, closed: make(chan struct{})}
	c.redialed = true
	c.interceptor, c.streamInterceptor = nil, nil
	c.onClose = func() { ended(endOf(c)) }
	return c
}

// failed is what users are told of a failure.
func (r *reconnector) failed(f *redial.Failure) error {
	if f.Closed {
		return callerr.ClosedFor(f.Cause)
	}
	return callerr.NoConn(r.target, f.Cause)
}

// unsent is what a call returns that got no connection.
func (r *reconnector) unsent(waited error, f *redial.Failure) error {
	err := r.failed(f)
	switch {
	case waited != nil:
		return callerr.Waited(waited, err)
	case f.Closed:
		return callerr.Unsent(err)
	}
	return err
}

// endOf is why a connection has ended.
func endOf(c *Client) error {
	return fmt.Errorf("the connection has ended: %w", callerr.CauseOf(c.Err()))
}
