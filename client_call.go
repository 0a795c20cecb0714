package ttrpc

import (
	"context"
	"time"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/stats"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Call makes a unary call and decodes the answer into resp, which is reset first. req and resp are
// messages of any supported generation. The deadline and the metadata of ctx travel along.
//
// The error is the status that the server answered with, for [status.FromError]; ctx.Err() itself
// when the context ends first; ErrClosed, or an error that wraps it, when the connection is gone;
// an *[OversizedMessageErr] when the request is over the limit, in which case nothing was sent.
//
// [status.FromError]: https://pkg.go.dev/google.golang.org/grpc/status#FromError
func (c *Client) Call(ctx context.Context, service, method string, req, resp any) error {
	if c.stats == nil {
		return c.callUnary(ctx, nil, service, method, req, resp)
	}
	st, ctx := c.stats.BeginCall(ctx, stats.Info{Client: true, FullMethod: fullMethod(service, method)}, req)
	err := c.callUnary(ctx, st, service, method, req, resp)
	st.End(err)
	return err
}

func (c *Client) callUnary(ctx context.Context, st *stats.Call, service, method string, req, resp any) error {
	e, err := codec.EncoderFor(req)
	if err != nil {
		return err
	}
	switch {
	case c.interceptor != nil:
		return c.callIntercepted(ctx, st, service, method, e, resp)
	case c.redial != nil:
		return c.redial.Do(ctx, func(c *Client) error { return c.call(ctx, st, service, method, e, resp) })
	}
	return c.call(ctx, st, service, method, e, resp)
}

func (c *Client) call(ctx context.Context, st *stats.Call, service, method string, e codec.Encoder, resp any) error {
	f, err := c.requestFrame(ctx, service, method, e, 0)
	if err != nil {
		return err
	}
	reply, err := c.roundTrip(ctx, st, callName{service: service, method: method}, f, e.Size())
	if err != nil {
		return err
	}
	defer reply.Free()
	size, err := decodeReply(ctx, reply, resp)
	if err == nil {
		st.Received(resp, size, reply.Len())
	}
	return err
}

// callIntercepted builds the Request that interceptors expect,
// and takes the answer from the Response as they leave it.
func (c *Client) callIntercepted(
	ctx context.Context, st *stats.Call, service, method string, e codec.Encoder, resp any,
) error {
	payload, err := e.Append(make([]byte, 0, e.Size()))
	if err != nil {
		return err
	}
	timeout, _ := timeLeft(ctx)
	md, _ := sharedMetadata(ctx)
	req := &Request{Service: service, Method: method, Payload: payload, TimeoutNano: timeout, Metadata: md.keyValues()}
	answer := new(Response)
	info := &UnaryClientInfo{FullMethod: fullMethod(service, method)}
	invoke := func(ctx context.Context, req *Request, resp *Response) error { return c.invoke(ctx, st, req, resp) }
	if err := c.interceptor(ctx, req, answer, info, invoke); err != nil {
		return err
	}
	err = codec.Decode(answer.Payload, resp)
	if failed := callerr.Answered(answer.Status); failed != nil {
		return failed
	}
	if err == nil {
		st.ReceivedReply(resp, len(answer.Payload))
	}
	return err
}

// invoke is the Invoker at the end of the chain: what goes out is the Request as it stands now.
func (c *Client) invoke(ctx context.Context, st *stats.Call, req *Request, resp *Response) error {
	if err := ctx.Err(); err != nil {
		return c.conn.NotBegun(err)
	}
	if c.redial != nil {
		return c.redial.Do(ctx, func(c *Client) error { return c.invokeAgain(ctx, st, req, resp) })
	}
	e := codec.Encoded(req.Payload)
	name := callName{service: req.Service, method: req.Method}
	f, err := requestFrame(req.Service, req.Method, e, req.TimeoutNano, metadataFrom(req.Metadata), 0, c.maxSend)
	if err != nil {
		return err
	}
	reply, err := c.roundTrip(ctx, st, name, f, e.Size())
	if err != nil {
		return err
	}
	defer reply.Free()
	st.Replied(reply.Len())
	v, err := wire.ParseResponse(reply.Data())
	if err != nil {
		return responseError(reply.Data())
	}
	answered, err := responseStatus(v, reply.Data())
	if callerr.IsOwnEnd(ctx, answered) {
		return context.DeadlineExceeded
	}
	resp.Payload, resp.Status = append([]byte(nil), v.Payload...), answered
	return err
}

// invokeAgain is invoke with the time that is left by now, and with an error where the server
// has refused the call, which can be made elsewhere then.
func (c *Client) invokeAgain(ctx context.Context, st *stats.Call, req *Request, resp *Response) error {
	left, err := timeLeft(ctx)
	if err != nil {
		return err
	}
	if 0 < left && left < req.TimeoutNano {
		req = &Request{Service: req.Service, Method: req.Method, Payload: req.Payload, TimeoutNano: left, Metadata: req.Metadata}
	}
	if err := c.invoke(ctx, st, req, resp); err != nil {
		return err
	}
	if callerr.IsRefusal(resp.Status) {
		return callerr.Answered(resp.Status)
	}
	return nil
}

// decodeReply looks at the status before the payload: a message that does not fit resp must not
// hide an error, and resp stays as it is where the context has ended. size is the message's.
func decodeReply(ctx context.Context, f *wire.Frame, resp any) (size int, err error) {
	b := f.Data()
	v, err := wire.ParseResponse(b)
	if err != nil {
		return 0, responseError(b)
	}
	st, err := responseStatus(v, b)
	switch {
	case err != nil:
		return 0, err
	case callerr.IsOwnEnd(ctx, st):
		return 0, context.DeadlineExceeded
	}
	err = codec.DecodeFrom(f, v.Payload, resp)
	if failed := callerr.Answered(st); failed != nil {
		return 0, failed
	}
	return len(v.Payload), err
}

// requestFrame encodes a request with what ctx says of deadline and metadata.
func (c *Client) requestFrame(ctx context.Context, service, method string, e codec.Encoder, flags uint8) (*wire.Frame, error) {
	timeout, err := timeLeft(ctx)
	if err != nil {
		return nil, c.conn.NotBegun(err)
	}
	md, _ := sharedMetadata(ctx)
	return requestFrame(service, method, e, timeout, md, flags, c.maxSend)
}

// timeLeft returns what a Request says of ctx's deadline, in nanoseconds,
// and the error of a ctx that has ended.
func timeLeft(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0, nil
	}
	left := time.Until(deadline)
	if left <= 0 {
		return 0, context.DeadlineExceeded
	}
	return left.Nanoseconds(), nil
}

// roundTrip sends a unary request, taking f, whose message has so many bytes, and returns the frame
// of the answer, which the caller frees.
func (c *Client) roundTrip(
	ctx context.Context, st *stats.Call, name callName, f *wire.Frame, size int,
) (*wire.Frame, error) {
	s := c.newCall()
	s.name = name
	if st != nil {
		s.name.since = transport.ClockAt(st.Began())
	}
	reply, err := c.exchange(ctx, s, st, f, size)
	c.unaryCalls.Put(s) // not deferred: where a handler of stats panics the call is still in flight
	return reply, err
}

func (c *Client) exchange(ctx context.Context, s *stream, st *stats.Call, f *wire.Frame, size int) (*wire.Frame, error) {
	wireSize := f.Len()
	if err := c.conn.Begin(ctx, s, f); err != nil {
		return nil, err
	}
	st.Use(c.conn.NetConn())
	st.SentRequest(size, wireSize)
	return c.conn.Await(ctx, &s.Stream)
}

// newCall takes a unary call from the pool.
func (c *Client) newCall() *stream {
	if s, ok := c.unaryCalls.Get().(*stream); ok {
		return s
	}
	s := new(stream)
	s.InitUnary()
	return s
}
