package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/messages"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A job is one thing after the other that a caller does on a link.
type job struct {
	link   *link
	random *rand.Rand
	mine   messages.Form // of this caller
	theirs string        // the form of the service that is called
}

// callBound is far beyond what any call takes; a call that reaches it has hung.
const callBound = 2 * time.Minute

// errWrong is an answer that is not the request's.
var errWrong = errors.New("wrong answer")

// one does one thing chosen at random and counts what came of it.
func (j *job) one() {
	ctx, cancel := context.WithTimeout(context.Background(), callBound)
	defer cancel()
	name, allowed, do := j.choose()
	name = j.link.name + name
	start := time.Now()
	err := do(ctx)
	// A stream, for calls are made again by the client.
	for j.link.redials && ttrpc.NotSent(err) && errors.Is(err, ttrpc.ErrClosed) {
		j.link.tally.failed("not begun, made again")
		err = do(ctx)
	}
	j.link.tally.done(name, time.Since(start))
	switch {
	case err == nil:
	case errors.Is(err, ttrpc.ErrClosed) && j.link.cut.Load():
		j.link.tally.failed("closed")
	case ctx.Err() == nil && allowed != nil && allowed(err):
		j.link.tally.failed(kindOf(err))
	default:
		j.link.tally.wrongAnswer("%s of %s, %s to %s: %v", name, j.link.server.Release.Name, j.mine.Name, j.theirs, err)
	}
}

// choose picks what to do, with the errors that it may end in.
func (j *job) choose() (name string, allowed func(error) bool, do func(context.Context) error) {
	n := j.random.IntN(100)
	if n >= 60 && !j.link.server.Release.Streams {
		n -= 60
	}
	switch {
	case n < 30:
		return "call", nil, j.echo
	case n < 32:
		return "large call", nil, j.large
	case n < 38:
		return "call past its deadline", isCode(codes.DeadlineExceeded), j.deadline
	case n < 46:
		return "cancelled call", isCode(codes.Canceled), j.cancelled
	case n < 52:
		return "failing call", isCode(codes.Aborted), j.fail
	case n < 56:
		return "unknown method", isCode(codes.Unimplemented, codes.NotFound), j.unknown
	case n < 60:
		return "call with metadata", nil, j.look
	case n < 72:
		return "stream both ways", nil, j.chat
	case n < 80:
		return "stream from the server", nil, j.list
	case n < 88:
		return "stream to the server", nil, j.join
	case n < 91:
		return "failing stream", isCode(codes.Aborted), j.failingStream
	case n < 92:
		return "paused stream", nil, j.paused
	default:
		return "abandoned stream", isCode(codes.Canceled), j.abandon
	}
}

// isCode allows errors of these codes, and the context's own error of that kind.
func isCode(allowed ...codes.Code) func(error) bool {
	return func(err error) bool {
		got := status.FromContextError(err).Code()
		if got == codes.Unknown {
			got = status.Code(err)
		}
		for _, c := range allowed {
			if c == got {
				return true
			}
		}
		return false
	}
}

func kindOf(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Code().String()
	}
	return status.FromContextError(err).Code().String()
}

// call makes one call of the chosen forms.
func (j *job) call(ctx context.Context, method string, req messages.Item) (messages.Item, error) {
	resp := j.mine.New()
	if err := j.link.client.Call(ctx, "ttrpc.interop."+j.theirs, method, j.mine.Of(req), resp); err != nil {
		return messages.Item{}, err
	}
	return j.mine.Read(resp), nil
}

// item is a message with content of its own, and up to so much data.
func (j *job) item(size int) messages.Item {
	i := messages.Full(j.random.Int64())
	i.Data = make([]byte, j.random.IntN(size))
	for k := 0; k < len(i.Data); k += 1 + k/8 {
		i.Data[k] = byte(j.random.Uint32())
	}
	return i
}

func (j *job) echoed(ctx context.Context, size int) error {
	want := j.item(size)
	got, err := j.call(ctx, "Echo", want)
	if err == nil && !messages.Equal(got, want) {
		return fmt.Errorf("%w: %.200v for %.200v", errWrong, got, want)
	}
	return err
}

func (j *job) echo(ctx context.Context) error  { return j.echoed(ctx, 1<<j.random.IntN(17)) }
func (j *job) large(ctx context.Context) error { return j.echoed(ctx, 3<<20) }

func (j *job) deadline(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(j.random.IntN(10_000))*time.Microsecond)
	defer cancel()
	_, err := j.call(ctx, "Until", messages.Item{})
	if err == nil {
		return fmt.Errorf("%w: no error", errWrong)
	}
	return err
}

func (j *job) cancelled(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := time.AfterFunc(time.Duration(j.random.IntN(1000))*time.Microsecond, cancel)
	defer stop.Stop()
	return j.echoed(ctx, 1<<12)
}

func (j *job) fail(ctx context.Context) error {
	_, err := j.call(ctx, "Fail", messages.Item{Text: "details"})
	return wantDetails(err)
}

// wantDetails is the error itself, unless it has lost its details on the way.
func wantDetails(err error) error {
	if err == nil {
		return fmt.Errorf("%w: no error", errWrong)
	}
	if s, ok := status.FromError(err); ok && s.Code() == codes.Aborted && len(s.Details()) != 2 {
		return fmt.Errorf("%w: details %v", errWrong, s.Details())
	}
	return err
}

func (j *job) unknown(ctx context.Context) error {
	_, err := j.call(ctx, "Nothing", j.item(100))
	if err == nil {
		return fmt.Errorf("%w: no error", errWrong)
	}
	return err
}

func (j *job) look(ctx context.Context) error {
	value := fmt.Sprint(j.random.Uint64())
	got, err := j.call(ttrpc.WithMetadata(ctx, ttrpc.MD{"k": {value, "2"}}), "Look", messages.Item{})
	if want := fmt.Sprintf(
		"metadata [k=[%q \"2\"]]", value,
	); err == nil && !(strings.HasSuffix(got.Text, want) && strings.HasPrefix(got.Text, "deadline true")) {
		return fmt.Errorf("%w: %s for %s", errWrong, got.Text, want)
	}
	return err
}

// stream opens a stream of the chosen forms.
func (j *job) stream(ctx context.Context, method string, desc ttrpc.StreamDesc, req any) (ttrpc.ClientStream, error) {
	return j.link.client.NewStream(ctx, &desc, "ttrpc.interop."+j.theirs, method, req)
}

func (j *job) take(s ttrpc.ClientStream) (messages.Item, error) {
	m := j.mine.New()
	if err := s.RecvMsg(m); err != nil {
		return messages.Item{}, err
	}
	return j.mine.Read(m), nil
}

var both = ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}

func (j *job) chat(ctx context.Context) error {
	s, err := j.stream(ctx, "Chat", both, nil)
	if err != nil {
		return err
	}
	for range j.random.IntN(30) {
		if err := j.ping(s); err != nil {
			return err
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	return j.wantEOF(s)
}

func (j *job) ping(s ttrpc.ClientStream) error {
	want := j.item(2000)
	if err := s.SendMsg(j.mine.Of(want)); err != nil {
		return err
	}
	got, err := j.take(s)
	if err == nil && !messages.Equal(got, want) {
		return fmt.Errorf("%w: %.200v for %.200v", errWrong, got, want)
	}
	return err
}

func (j *job) wantEOF(s ttrpc.ClientStream) error {
	got, err := j.take(s)
	if err == io.EOF {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%w: %.200v after the last", errWrong, got)
	}
	return err
}

// listed takes messages that must come in order, up to n of them.
func (j *job) listed(s ttrpc.ClientStream, n int64, size int) error {
	for i := range n {
		got, err := j.take(s)
		if err != nil {
			return err
		}
		if got.Number != i || len(got.Data) != size {
			return fmt.Errorf("%w: message %d of %d bytes for %d", errWrong, got.Number, len(got.Data), i)
		}
	}
	return nil
}

func (j *job) list(ctx context.Context) error {
	n, size := int64(j.random.IntN(300)), j.random.IntN(2000)
	s, err := j.stream(ctx, "List", ttrpc.StreamDesc{StreamingServer: true}, j.mine.Of(messages.Item{Number: n, Data: make([]byte, size)}))
	if err != nil {
		return err
	}
	if err := j.listed(s, n, size); err != nil {
		return err
	}
	return j.wantEOF(s)
}

// paused lets a stream lie for a while and wants all of it then. With a server that knows windows
// it is more than a stream may hold, and by times more than a connection may.
func (j *job) paused(ctx context.Context) error {
	const size = 8 << 10
	n := int64(100)
	if j.link.server.Release.Ours {
		n = 1500
	}
	s, err := j.stream(ctx, "List", ttrpc.StreamDesc{StreamingServer: true}, j.mine.Of(messages.Item{Number: n, Data: make([]byte, size)}))
	if err != nil {
		return err
	}
	pause(ctx, time.Duration(j.random.IntN(2000))*time.Millisecond)
	if err := j.listed(s, n, size); err != nil {
		return err
	}
	return j.wantEOF(s)
}

func (j *job) join(ctx context.Context) error {
	s, err := j.stream(ctx, "Join", ttrpc.StreamDesc{StreamingClient: true}, nil)
	if err != nil {
		return err
	}
	n := int64(j.random.IntN(200))
	for range n {
		if err := s.SendMsg(j.mine.Of(messages.Item{Data: make([]byte, 100)})); err != nil {
			return err
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	got, err := j.take(s)
	if err == nil && (got.Number != n || !strings.HasPrefix(got.Text, fmt.Sprintf("%d bytes", 100*n))) {
		return fmt.Errorf("%w: %v for %d messages", errWrong, got, n)
	}
	return err
}

func (j *job) failingStream(ctx context.Context) error {
	s, err := j.stream(ctx, "List", ttrpc.StreamDesc{StreamingServer: true}, j.mine.Of(messages.Item{Number: 3, Text: "details"}))
	if err != nil {
		return err
	}
	if err := j.listed(s, 3, 0); err != nil {
		return err
	}
	_, err = j.take(s)
	return wantDetails(err)
}

// abandon gives a stream up in the middle, with messages unread.
func (j *job) abandon(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := j.stream(ctx, "List", ttrpc.StreamDesc{StreamingServer: true}, j.mine.Of(messages.Item{Number: 100, Data: make([]byte, 500)}))
	if err != nil {
		return err
	}
	if err := j.listed(s, int64(j.random.IntN(50)), 500); err != nil {
		return err
	}
	cancel()
	for range 101 {
		if _, err := j.take(s); err == io.EOF {
			return nil // all of it had come before the cancel
		} else if err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: a cancelled stream goes on", errWrong)
}
