package ttrpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/ttrpc/internal/redial"
)

// reconnector is the redialer of a client of Dial: what internal/redial has to know of clients, and
// what callers are told of its failures.
type reconnector struct {
	dialConfig
	client *Client // whose connections these are
	*redial.Redialer[*Client]
}

// start makes the Redialer, when the options are known.
func (r *reconnector) start(ctx context.Context) {
	r.Redialer = redial.New(ctx, redial.Config[*Client]{
		Connect: r.connect,
		Timeout: r.connectTimeout,
		Close:   func(c *Client) { c.Close() },
		Leave:   (*Client).leave,
		Refusal: func(err error) error {
			if !NotSent(err) {
				return nil
			}
			return causeOf(err)
		},
		Backoff:      r.backoff,
		WaitForReady: r.waitForReady,
		Tell:         r.tell(),
		Done:         r.client.finishClose,
	})
}

// tell tells the user of states; it is nil where he does not want to know.
func (r *reconnector) tell() func(redial.State, *redial.Failure) {
	if r.onState == nil {
		return nil
	}
	return func(s redial.State, why *redial.Failure) { r.onState(ConnState(s), r.failed(why)) }
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
	c := &Client{clientConfig: r.client.clientConfig, nextID: 1, closed: make(chan struct{})}
	c.redialed = true
	c.interceptor, c.streamInterceptor = nil, nil
	c.onClose = func() { ended(endOf(c)) }
	return c
}

// repeat implements [redialer].
func (r *reconnector) repeat(ctx context.Context, try func(*Client) error) error {
	err := r.Do(ctx, try)
	if err == nil {
		return nil
	}
	return r.told(err)
}

// told is what callers are told of an error of Do.
func (r *reconnector) told(err error) error {
	var waited *redial.Waited
	var failure *redial.Failure
	switch {
	case errors.As(err, &waited):
		if waited.Failure == nil {
			waited.Failure = &redial.Failure{Cause: errStillConnecting}
		}
		return &waitError{end: waited.End, failure: r.failed(waited.Failure)}
	case errors.As(err, &failure):
		err = r.failed(failure)
		if failure.Closed {
			return &unsentError{err}
		}
	}
	return err
}

// err implements [redialer].
func (r *reconnector) err() error { return r.failed(r.Failure()) }

// failed is what callers are told of a failure; nil is none.
func (r *reconnector) failed(f *redial.Failure) error {
	switch {
	case f == nil:
		return nil
	case f.Closed:
		return &closedError{cause: f.Cause}
	}
	return &noConnError{target: r.target, cause: f.Cause}
}

// close implements [redialer].
func (r *reconnector) close() { r.Close() }

// current implements [redialer].
func (r *reconnector) current() *Client { return r.Current() }

// connections implements [redialer].
func (r *reconnector) connections() (ConnState, []*Client) {
	state, all := r.Connections()
	return ConnState(state), all
}

// endOf is why a connection has ended.
func endOf(c *Client) error { return fmt.Errorf("the connection has ended: %w", causeOf(c.Err())) }

// causeOf is why a connection is closed, where err says that it is.
func causeOf(err error) error {
	var closed *closedError
	if errors.As(err, &closed) {
		return closed.cause
	}
	return err
}
