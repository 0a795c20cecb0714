package ttrpc

import (
	"context"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Client makes calls over one connection, any number at once; all its methods are safe for concurrent use.
// A client whose connection is gone stays closed: there is no reconnecting.
type Client struct {
	clientConfig
	conn net.Conn
	ch   *channel
	flow inflow

	// calls holds unary calls between uses: not in any map, ready empty. Each client has its own, for channels
	// must not pass from one testing/synctest bubble to another.
	calls sync.Pool

	mu      sync.Mutex         // guards all below; taken before the channel's lock
	nextID  uint64             // of the next stream; odd, past math.MaxUint32 there is none left
	streams map[uint32]*stream // calls without an answer; removing an entry is the claim to end it
	failed  error              // what calls return since the connection ended
	cause   error              // why it ended
	duty    duty
	lonely  bool   // the connection is used by one call at a time, which can read for itself
	loner   uint32 // the stream that does so; unary calls come and go
	kicked  bool   // a read deadline was set to get the caller on duty out
	dying   bool   // nothing can be written any more, and a read deadline bounds what is still read
	recall  bool   // the reader goroutine takes over from the caller on duty
	pace    pace   // of calls while the reader goroutine is on duty
	moves   uint64 // goes up with each call, and each wait of a stream's consumer

	wake   chan struct{} // capacity 1: to the reader goroutine off duty
	closed chan struct{} // closed after the on-close callback
}

// duty says who reads from the connection. It changes under the client's lock, and whoever is on duty owns
// the channel's reader. A caller that is alone reads its answer itself, which saves a goroutine switch; the
// reader goroutine is off duty then, and takes over again when more calls are in flight or none was made
// for a while, so that the end of an idle connection is noticed.
type duty uint8

const (
	dutyReader duty = iota // the reader goroutine, or it has been woken for it
	dutyCaller             // a caller, until its answer is there
	dutyNone               // nobody: no call is in flight, and lately there were some
)

const (
	// watchAfter is how long nobody reads a connection, or a caller reads without an answer, before the reader
	// goroutine takes over; at the most it is twice as long.
	watchAfter = 5 * time.Millisecond
	// fewMoves in that time are too few for callers to go on reading for themselves.
	fewMoves = 4
	// patience is what a context must have left for its caller to read itself, since it is not watched then.
	patience = 8 * watchAfter
)

// pace tells whether something happens often: only then is it worth a timer that looks after it.
type pace struct {
	count int
	since time.Duration // on the clock
}

const (
	paceCount = 16
	paceTime  = 4 * time.Millisecond // for so many
)

// quick counts one more, and reports whether the last paceCount came in paceTime.
func (p *pace) quick() bool {
	if p.count++; p.count < paceCount {
		return false
	}
	now := clock()
	took := now - p.since
	p.count, p.since = 0, now
	return took < paceTime
}

// NewClient returns a client on conn, which it owns from then on: Close closes it.
func NewClient(conn net.Conn, opts ...ClientOpts) *Client {
	c := &Client{
		clientConfig: defaultClientConfig(),
		conn:         conn,
		nextID:       1,
		streams:      make(map[uint32]*stream),
		wake:         make(chan struct{}, 1),
		closed:       make(chan struct{}),
	}
	for _, opt := range opts {
		opt(c)
	}
	conn, err := c.handshake()
	c.conn = conn
	c.ch = newChannel(conn, c.maxRecv, c.backlog, c.writeFailed)
	c.flow.init(c.streamBuffer, c.connBuffer)
	if err != nil {
		c.fail(err)
		return c
	}
	go c.readLoop()
	return c
}

// handshake runs the handshaker, if there is one, and returns the connection to use.
func (c *Client) handshake() (net.Conn, error) {
	if c.handshaker == nil {
		return c.conn, nil
	}
	conn, _, err := runHandshake(context.Background(), c.handshaker, c.conn, c.handshakeTimeout)
	if err != nil {
		return c.conn, fmt.Errorf("ttrpc: handshake: %w", err)
	}
	return conn, nil
}

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
	return ownEnd(ctx, decodeReply(reply.data(), resp))
}

// ownEnd returns the context's own error for a server's word that the deadline is over, when it is over here too
// and only the timer was slower than the server.
func ownEnd(ctx context.Context, err error) error {
	if err == nil || status.Code(err) != codes.DeadlineExceeded {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		return context.DeadlineExceeded
	}
	return err
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
	resp.Payload = append([]byte(nil), v.payload...)
	resp.Status, err = v.decodeStatus()
	return err
}

// decodeReply looks at the status before the payload: a message that does not fit resp must not hide an error.
func decodeReply(b []byte, resp any) error {
	v, err := parseResponse(b)
	if err != nil {
		return responseError(b)
	}
	st, err := v.decodeStatus()
	if err != nil {
		return err
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
		runtime.Gosched() // let others join this write
	}
	c.ch.flush(ctx.Done() == nil)
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
	c.moves++
	c.lonely, c.loner = !crowd && isPatient(ctx), s.id
	return c.assignLocked(s), crowd, nil
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

// isPatient reports whether a context will not mind being looked at only after 2*watchAfter.
func isPatient(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > patience
}

// assignLocked settles who reads the answer to s when nobody is on duty: a lonely call itself, a lonely stream when
// its consumer waits, or the reader goroutine.
func (c *Client) assignLocked(s *stream) (mine bool) {
	switch {
	case c.duty != dutyNone:
	case !c.lonely:
		c.summonLocked()
	case s.unary:
		c.duty = dutyCaller
		return true
	}
	return false
}

// summonLocked puts the reader goroutine on duty.
func (c *Client) summonLocked() {
	c.duty = dutyReader
	signal(c.wake)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// claim removes a call: whoever gets it, and not nil, ends it.
func (c *Client) claim(id uint32) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id]
	if s == nil {
		return nil
	}
	delete(c.streams, id)
	if c.nextID > math.MaxUint32 && len(c.streams) == 0 {
		go c.fail(ErrStreamIDsExhausted)
	}
	return s
}

// Close closes the connection and ends all calls on it with ErrClosed. It returns nil.
func (c *Client) Close() error {
	c.fail(net.ErrClosed)
	return nil
}

// Err returns nil while the connection is up, and then why it ended: an error that wraps ErrClosed and the
// cause, io.EOF, net.ErrClosed after Close, syscall.ECONNRESET, io.ErrUnexpectedEOF and so on.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		return nil
	}
	return &closedError{cause: c.cause}
}

// UserOnCloseWait waits until the connection has ended and the callback of [WithOnClose] has returned. It
// returns ctx.Err() when ctx ends first.
func (c *Client) UserOnCloseWait(ctx context.Context) error {
	select {
	case <-c.closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fail is the one end of a client, the first cause counts: calls end, the connection closes, then the
// callback runs.
func (c *Client) fail(cause error) {
	c.mu.Lock()
	if c.failed != nil {
		c.mu.Unlock()
		return
	}
	c.failed, c.cause = asClosed(cause), cause
	streams := c.streams
	c.streams = nil
	if c.duty == dutyNone {
		c.summonLocked() // to see the end
	}
	c.mu.Unlock()
	c.ch.stop(cause)
	c.flow.close()
	for _, s := range streams {
		s.end(nil, c.failed)
	}
	c.conn.Close() // last, for it may take its time
	c.report(cause)
	go c.finish()
}

func (c *Client) finish() {
	defer close(c.closed)
	if c.onClose != nil {
		c.onClose()
	}
}

func (c *Client) report(cause error) {
	if c.logger != nil && !isOrderly(cause) {
		c.logger.Warn("ttrpc: connection failed", "error", cause)
	}
}

// lastWords is how long a client whose write has failed reads on. The peer has closed, and what it sent
// before that is still to be read: answers of calls that would otherwise fail for nothing.
const lastWords = time.Second

// writeFailed is called when a write has failed: nothing more goes out, and reading goes on to the end.
func (c *Client) writeFailed(err error) {
	if !isOrderly(err) || !c.die() {
		c.fail(err)
	}
}

// die bounds the reading, and reports whether that was possible.
func (c *Client) die() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dying = true
	if c.duty == dutyNone {
		c.summonLocked()
	}
	return c.conn.SetReadDeadline(time.Now().Add(lastWords)) == nil
}
