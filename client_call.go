package ttrpc

import (
	"context"
	"math"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Call makes a unary call and decodes the answer into resp, which is reset first. req and resp are messages
// of any supported generation. The deadline and the metadata of ctx travel along.
//
// The error is the status that the server answered with, for [status.FromError]; ctx.Err() itself when the
// context ends first; ErrClosed, or an error that wraps it, when the connection is gone; an
// *[OversizedMessageErr] when the request is over the limit, in which case nothing was sent.
func (c *Client) Call(ctx context.Context, service, method string, req, resp any) error {
	e, err := encoderFor(req)
	if err != nil {
		return err
	}
	if c.interceptor != nil {
		return c.callIntercepted(ctx, service, method, e, resp)
	}
	f, err := c.requestFrame(ctx, service, method, e, 0)
	if err != nil {
		return err
	}
	reply, err := c.roundTrip(ctx, f)
	if err != nil {
		return err
	}
	defer reply.free()
	return decodeReply(ctx, reply.data(), resp)
}

// isOwnEnd reports whether an answer says what ctx is about to say itself, that the deadline is over: only the timer was
// slower than the server.
func isOwnEnd(ctx context.Context, st *spb.Status) bool {
	if st.GetCode() != int32(codes.DeadlineExceeded) {
		return false
	}
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= 0
}

// callIntercepted builds the Request that interceptors expect, and takes the answer from the Response as they
// leave it.
func (c *Client) callIntercepted(ctx context.Context, service, method string, e encoder, resp any) error {
	payload, err := e.append(make([]byte, 0, e.size))
	if err != nil {
		return err
	}
	timeout, _ := timeLeft(ctx)
	md, _ := sharedMetadata(ctx)
	req := &Request{Service: service, Method: method, Payload: payload, TimeoutNano: timeout, Metadata: md.keyValues()}
	answer := new(Response)
	info := &UnaryClientInfo{FullMethod: fullMethod(service, method)}
	if err := c.interceptor(ctx, req, answer, info, c.invoke); err != nil {
		return err
	}
	err = unmarshal(answer.Payload, resp)
	if answer.Status != nil && answer.Status.Code != int32(codes.OK) {
		return status.ErrorProto(answer.Status)
	}
	return err
}

// invoke is the Invoker at the end of the chain: what goes out is the Request as it stands now.
func (c *Client) invoke(ctx context.Context, req *Request, resp *Response) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e := encoder{msg: req.Payload, size: len(req.Payload), kind: encodeRaw}
	f, err := buildRequest(req.Service, req.Method, e, req.TimeoutNano, metadataFrom(req.Metadata), 0, c.maxSend)
	if err != nil {
		return err
	}
	reply, err := c.roundTrip(ctx, f)
	if err != nil {
		return err
	}
	defer reply.free()
	v, err := parseResponse(reply.data())
	if err != nil {
		return responseError(reply.data())
	}
	st, err := v.decodeStatus()
	if isOwnEnd(ctx, st) {
		return context.DeadlineExceeded
	}
	resp.Payload, resp.Status = append([]byte(nil), v.payload...), st
	return err
}

// decodeReply looks at the status before the payload: a message that does not fit resp must not hide an error, and resp
// stays as it is where the context has ended.
func decodeReply(ctx context.Context, b []byte, resp any) error {
	v, err := parseResponse(b)
	if err != nil {
		return responseError(b)
	}
	st, err := v.decodeStatus()
	switch {
	case err != nil:
		return err
	case isOwnEnd(ctx, st):
		return context.DeadlineExceeded
	}
	err = unmarshal(v.payload, resp)
	if st != nil && st.Code != int32(codes.OK) {
		return status.ErrorProto(st)
	}
	return err
}

// requestFrame encodes a request with what ctx says of deadline and metadata.
func (c *Client) requestFrame(ctx context.Context, service, method string, e encoder, flags uint8) (*frame, error) {
	timeout, err := timeLeft(ctx)
	if err != nil {
		return nil, err
	}
	md, _ := sharedMetadata(ctx)
	return buildRequest(service, method, e, timeout, md, flags, c.maxSend)
}

// timeLeft returns what a Request says of ctx's deadline, in nanoseconds, and the error of a ctx that has ended.
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

// roundTrip sends a unary request, taking f, and returns the frame of the answer, which the caller frees.
func (c *Client) roundTrip(ctx context.Context, f *frame) (*frame, error) {
	s := c.newCall()
	mine, err := c.send(ctx, s, f)
	if err != nil {
		c.calls.Put(s)
		return nil, err
	}
	if mine {
		c.readFor(s)
	}
	if err := c.wait(ctx, s); err != nil {
		c.calls.Put(s)
		return nil, err
	}
	reply, err := s.reply, s.err
	s.reply, s.err, s.ended = nil, nil, false
	c.calls.Put(s)
	return reply, err
}

// newCall takes a unary call from the pool.
func (c *Client) newCall() *stream {
	if s, ok := c.calls.Get().(*stream); ok {
		return s
	}
	return &stream{ready: make(chan struct{}, 1), unary: true}
}

// wait returns when s has ended. When ctx ends first it claims the call, which nobody else knows of then.
func (c *Client) wait(ctx context.Context, s *stream) error {
	done := ctx.Done()
	if done == nil {
		<-s.ready
		return nil
	}
	select {
	case <-s.ready:
	case <-done:
		if c.claim(s.id) != nil {
			return ctx.Err()
		}
		<-s.ready // somebody else has claimed it and is about to end it
	}
	return nil
}

// send opens s with the frame f, which it takes. mine: the caller is on duty as the reader.
func (c *Client) send(ctx context.Context, s *stream, f *frame) (mine bool, err error) {
	if err := c.ch.waitSpace(ctx); err != nil {
		f.free()
		return false, err
	}
	mine, crowd, err := c.open(ctx, s, f)
	if err != nil {
		return false, err
	}
	if crowd {
		c.ch.flushCrowd(ctx.Done() == nil)
	} else {
		c.ch.flush(ctx.Done() == nil)
	}
	return mine, nil
}

// open registers s under a new id, posts its first frame, so that the order of ids is the order on the
// wire, and settles who reads the answer. crowd: other calls are in flight.
func (c *Client) open(ctx context.Context, s *stream, f *frame) (mine, crowd bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.usableLocked(); err != nil {
		f.free()
		return false, false, err
	}
	s.id = uint32(c.nextID)
	f.setStream(s.id)
	if err := c.ch.post(f); err != nil {
		return false, false, asClosed(err)
	}
	c.nextID += 2
	c.streams[s.id] = s
	crowd = len(c.streams) > 1
	return c.assignLocked(s.id, s.unary, !crowd && isPatient(ctx)), crowd, nil
}

func (c *Client) usableLocked() error {
	if c.failed != nil {
		return c.failed
	}
	if c.nextID > math.MaxUint32 {
		if len(c.streams) == 0 {
			go c.fail(ErrStreamIDsExhausted)
		}
		return &closedError{cause: ErrStreamIDsExhausted}
	}
	return nil
}
