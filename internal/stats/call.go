// Package stats tells what becomes of calls, each thing once, and nothing of a call after its end.
// Whom it tells it knows as a [Handler].
package stats

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/conn"
)

// Handler is told of connections and calls. It is an interface so that a program without one links
// nothing of what users are told.
type Handler interface {
	// BeginConn tags a connection and tells its begin. The function that it returns tells the end.
	BeginConn(ctx context.Context, netConn net.Conn, client bool) (context.Context, func(cause error))
	// BeginCall is [Begin] with this Handler.
	BeginCall(ctx context.Context, info Info, request any) (*Call, context.Context)

	// TagCall returns the context of a call's events.
	TagCall(ctx context.Context, info *Info) context.Context
	CallBegun(c *Call)
	Received(c *Call, m any, size, wireSize int)
	Sent(c *Call, m any, size, wireSize int)
	CallEnded(c *Call, err error)
}

// Info says what is called. It is plain data, with the fields of the CallInfo that users are told.
type Info struct {
	Client     bool
	FullMethod string

	StreamingClient, StreamingServer bool

	Unregistered bool
}

// Call is what a handler is told of one call. It is nil where there is no handler: its methods do
// nothing then. Where they say how much a message is, size is its bytes, and wireSize those of its
// frame.
type Call struct {
	_ [0]func() // nobody compares calls: no code for that is linked

	by      Handler
	ctx     context.Context
	info    Info
	began   time.Time
	request any // of a client's unary call
	opening int // see OpenedBy

	ended   atomic.Bool
	decoded atomic.Bool              // a server's unary request
	replied atomic.Int32             // see Replied
	remote  atomic.Pointer[net.Addr] // nil: none yet
	stop    atomic.Pointer[func() bool]
}

// Begin tags a call and tells its begin. request is the message of a client's unary call.
func Begin(ctx context.Context, by Handler, info Info, request any) (*Call, context.Context) {
	c := &Call{by: by, info: info, request: request}
	c.ctx = by.TagCall(ctx, &c.info)
	c.began = time.Now()
	by.CallBegun(c)
	return c, c.ctx
}

// Context is what TagCall has returned.
func (c *Call) Context() context.Context { return c.ctx }

// Info says what is called.
func (c *Call) Info() Info { return c.info }

// Began returns when the call began.
func (c *Call) Began() time.Time { return c.began }

// Use says which connection the call uses.
func (c *Call) Use(netConn net.Conn) {
	if c != nil {
		addr := netConn.RemoteAddr()
		c.remote.Store(&addr)
	}
}

// HasConn reports whether Use was called.
func (c *Call) HasConn() bool { return c.remote.Load() != nil }

// RemoteAddr is the other end of the connection that the call uses, or nil.
func (c *Call) RemoteAddr() net.Addr {
	if remote := c.remote.Load(); remote != nil {
		return *remote
	}
	return nil
}

// Sent tells of a message that is on its way.
func (c *Call) Sent(m any, size, wireSize int) {
	if c != nil && !c.ended.Load() {
		c.by.Sent(c, m, size, wireSize)
	}
}

// SentRequest is Sent for the message of a client's unary call.
func (c *Call) SentRequest(size, wireSize int) {
	if c != nil {
		c.Sent(c.request, size, wireSize)
	}
}

// Received tells of a message that has been received and decoded.
func (c *Call) Received(m any, size, wireSize int) {
	if c != nil && !c.ended.Load() {
		c.by.Received(c, m, size, wireSize)
	}
}

// Unmarshaler returns unmarshal, which decodes a server's unary request, as a function that tells
// of the first message that it decodes.
func (c *Call) Unmarshaler(unmarshal func(any) error, size, wireSize int) func(any) error {
	if c == nil {
		return unmarshal
	}
	return func(m any) error {
		err := unmarshal(m)
		if err == nil && !c.decoded.Swap(true) {
			c.Received(m, size, wireSize)
		}
		return err
	}
}

// OpenedBy says that the frame of a server's Request has brought the stream's first message. It
// comes before anybody receives from the stream.
func (c *Call) OpenedBy(wireSize int) { c.opening = wireSize }

// ReceivedNext is Received for a stream's message.
func (c *Call) ReceivedNext(m any, got conn.Received) {
	if c == nil {
		return
	}
	if got.First && c.opening > 0 {
		got.WireSize = c.opening
	}
	c.Received(m, got.Size, got.WireSize)
}

// Replied says that the answer of a client's unary call has come, which interceptors get first.
func (c *Call) Replied(wireSize int) {
	if c != nil {
		c.replied.Store(int32(wireSize))
	}
}

// ReceivedReply is Received for that answer. Where none came, the message is an interceptor's, and
// nothing is told.
func (c *Call) ReceivedReply(m any, size int) {
	if c == nil {
		return
	}
	if wireSize := c.replied.Load(); wireSize > 0 {
		c.Received(m, size, int(wireSize))
	}
}

// End tells the end, once.
func (c *Call) End(err error) {
	if c == nil || c.ended.Swap(true) {
		return
	}
	if stop := c.stop.Load(); stop != nil {
		(*stop)()
	}
	c.by.CallEnded(c, err)
}

// EndWith tells the end of a call when ctx has ended, also where nobody asks for the call's result
// any more.
func (c *Call) EndWith(ctx context.Context) {
	if c == nil || ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { c.End(ctx.Err()) })
	if c.stop.Store(&stop); c.ended.Load() {
		stop()
	}
}
