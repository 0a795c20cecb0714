//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// After its end a stream says the same as often as it is asked.
func TestStreamsEndIsRepeated(t *testing.T) {
	failure := status.Error(codes.Aborted, "oh")
	r := serve(t, &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
		"fails": bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
			if err := ss.SendMsg(text("a")); err != nil {
				return err
			}
			return failure
		}),
		"last": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			return text("last"), ss.SendMsg(text("a"))
		}},
		"eof": bidi(func(context.Context, ttrpc.StreamServer) error { return io.EOF }),
		"plain": {Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			in, err := recvText(ss)
			return text(in), err
		}},
	}})
	c := r.client()
	for _, test := range []struct {
		method string
		desc   *ttrpc.StreamDesc
		first  any
		want   []string
		end    error
	}{
		{"chat", both, text("a"), []string{"a"}, io.EOF},
		{"list", down, text("2"), []string{"0", "1"}, io.EOF},
		{"join", up, text("a"), []string{"[a]"}, io.EOF},
		{"last", down, text(""), []string{"a", "last"}, io.EOF},
		{"plain", &ttrpc.StreamDesc{}, text("a"), []string{"a"}, io.EOF},
		{"fails", both, nil, []string{"a"}, failure},
		{"eof", both, nil, nil, status.Error(codes.OutOfRange, "EOF")},
		{"none", both, nil, nil, status.Error(codes.Unimplemented, "method none")},
		{"echo", both, text("a"), []string{"a"}, io.EOF}, // a unary method
	} {
		t.Run(test.method, func(t *testing.T) {
			cs := open(t, bg, c, test.desc, test.method, test.first)
			if test.desc.StreamingClient && test.method != "echo" {
				if err := cs.CloseSend(); err != nil {
					t.Error("CloseSend:", err)
				}
			}
			wantNext(t, cs, test.want...)
			for range 3 {
				m := text("before")
				err := cs.RecvMsg(m)
				if test.end == io.EOF {
					wantExactly(t, err, io.EOF)
					equal(t, m.Value, "before")
				} else {
					wantStatus(t, err, status.Code(test.end), status.Convert(test.end).Message())
				}
			}
			if test.desc.StreamingClient {
				wantExactly(t, cs.SendMsg(text("x")), ttrpc.ErrStreamClosed)
			}
		})
	}
	wantEcho(t, c)
}

func TestSendOnStreamsThatDoNotSend(t *testing.T) {
	c, p := rawServer(t, "unix")
	for _, desc := range []*ttrpc.StreamDesc{down, {}} {
		cs := open(t, bg, c, desc, "list", text("1"))
		equal(t, p.recv().flags, 1)
		equal(t, cs.SendMsg(text("x")).Error(), "protocol error: cannot send data from non-streaming client")
		equal(t, cs.CloseSend().Error(), "protocol error: cannot close non-streaming client")
		wantIs(t, cs.SendMsg(text("x")), ttrpc.ErrProtocol)
		wantIs(t, cs.CloseSend(), ttrpc.ErrProtocol)
	}
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, 5)
}

// A server that sends messages where one answer was due breaks the protocol.
func TestDataFromServerThatDoesNotStream(t *testing.T) {
	c := serve(t, withStream("liar", ttrpc.Stream{StreamingClient: true, StreamingServer: true, Handler: func(
		_ context.Context, ss ttrpc.StreamServer,
	) (any, error) {
		return nil, ss.SendMsg(text("a"))
	}})).client()
	cs := open(t, bg, c, up, "liar", nil)
	for range 2 {
		_, err := recvText(cs)
		wantIs(t, err, ttrpc.ErrProtocol)
		equal(t, err.Error(), "received data from non-streaming server: protocol error")
	}
	_, err := call(bg, c, "liar", "")
	equal(t, fmt.Sprint(err), `unexpected "data" message received: protocol error`)
	wantEcho(t, c)
}

// What a handler sees of its stream's end, and what it may still do.
func TestHandlersViewOfTheEnd(t *testing.T) {
	seen := make(chan string, 1)
	c := serve(t,
		withStream("look", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
			var all []string
			for range 3 {
				m := text("before")
				err := ss.RecvMsg(m)
				all = append(all, fmt.Sprint(m.Value, " ", err))
			}
			err := ss.SendMsg(text("still"))
			seen <- fmt.Sprint(strings.Join(all, ", "), "; ", err, " ", ctx.Err())
			return nil
		})),
		withStream("lookDown", downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
			_, first := recvText(ss)
			_, second := recvText(ss)
			seen <- fmt.Sprint(first, " ", second)
			return nil
		}))).client()
	cs := open(t, bg, c, both, "look", text("a"))
	check(t, cs.CloseSend())
	wantTexts(t, cs, "still")
	equal(t, wait(t, seen, "handler"), "a <nil>, before EOF, before EOF; <nil> <nil>")
	wantTexts(t, open(t, bg, c, down, "lookDown", text("a")))
	equal(t, wait(t, seen, "handler"), "<nil> EOF")
}

// Once the handler has returned, its stream is of no more use, and does no harm.
func TestStreamServerAfterTheHandler(t *testing.T) {
	kept := make(chan ttrpc.StreamServer, 1)
	c := serve(t, withStream("keep", bidi(func(_ context.Context, ss ttrpc.StreamServer) error { kept <- ss; return nil }))).client()
	wantTexts(t, open(t, bg, c, both, "keep", text("a")))
	ss := wait(t, kept, "the stream")
	wantIs(t, ss.SendMsg(text("late")), ttrpc.ErrStreamClosed)
	_, err := recvText(ss)
	wantIs(t, err, ttrpc.ErrStreamClosed)
	wantEcho(t, c)
}

// A goroutine of the handler's is in RecvMsg when the handler returns.
func TestHandlerLeavesAReceiver(t *testing.T) {
	received := make(chan error, 1)
	c := serve(t, withStream("leave", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
		waiting := make(chan struct{})
		go func() {
			close(waiting)
			_, err := recvText(ss)
			received <- err
		}()
		<-waiting
		return nil
	}))).client()
	for range 20 {
		wantTexts(t, open(t, bg, c, both, "leave", nil))
		wantIs(t, wait(t, received, "RecvMsg"), ttrpc.ErrStreamClosed)
		wantEcho(t, c)
	}
}

// A message that cannot be sent, or decoded, leaves the stream as it was.
func TestStreamOutlivesBadMessages(t *testing.T) {
	c := serve(t).client(ttrpc.WithClientMaxSendMsgSize(1000))
	cs := open(t, bg, c, both, "chat", nil)
	for _, bad := range []any{"text", text(strings.Repeat("x", 2000)), text("\xff"), &sizedMessage{text: "x", fail: io.ErrNoProgress}} {
		if cs.SendMsg(bad) == nil {
			t.Errorf("%.20v was sent", bad)
		}
	}
	for _, s := range []string{"a", "b", "c"} {
		check(t, cs.SendMsg(text(s)))
	}
	if err := cs.RecvMsg("text"); err == nil {
		t.Error("a string was received into")
	}
	wantIs(t, cs.RecvMsg(&sizedMessage{fail: io.ErrNoProgress}), io.ErrNoProgress)
	wantNext(t, cs, "c")
}

func TestStreamsContext(t *testing.T) {
	c := serve(t).client()
	for name, begin := range map[string]func(t *testing.T) (ctx context.Context, cs ttrpc.ClientStream, want error){
		"cancelled": func(t *testing.T) (context.Context, ttrpc.ClientStream, error) {
			ctx, cancel := context.WithCancel(bg)
			cs := open(t, ctx, c, both, "mute", nil)
			time.AfterFunc(time.Millisecond, cancel)
			return ctx, cs, context.Canceled
		},
		"deadline": func(t *testing.T) (context.Context, ttrpc.ClientStream, error) {
			for timeout := 5 * time.Millisecond; ; timeout *= 2 {
				ctx, cancel := context.WithTimeout(bg, timeout)
				t.Cleanup(cancel)
				cs, err := c.NewStream(ctx, both, svc, "mute", nil)
				if !errors.Is(err, context.DeadlineExceeded) { // it was too short to open one
					check(t, err)
					return ctx, cs, context.DeadlineExceeded
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cs, want := begin(t)
			for range 2 {
				_, err := recvText(cs)
				if name == "deadline" && status.Code(err) == codes.DeadlineExceeded {
					continue // the handler was first
				}
				wantExactly(t, err, want)
			}
			<-ctx.Done()
			if cs.SendMsg(text("x")) == nil {
				t.Error("a message was sent")
			}
			if err := cs.CloseSend(); err != nil {
				t.Error("CloseSend:", err)
			}
			wantEcho(t, c)
		})
	}
}

// One goroutine sends, another receives, and more of each kind.
func TestStreamFromManyGoroutines(t *testing.T) {
	const senders, each = 8, 300
	c := serve(t).client()
	cs := open(t, bg, c, both, "chat", nil)
	var sending, receiving sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			for j := range each {
				if err := cs.SendMsg(text(fmt.Sprint(i, " ", j))); err != nil {
					t.Error("SendMsg:", err)
				}
			}
		})
	}
	var mu sync.Mutex
	got := map[string]int{}
	for range 4 {
		receiving.Go(func() {
			for {
				out, err := recvText(cs)
				if err != nil {
					wantExactly(t, err, io.EOF)
					return
				}
				mu.Lock()
				got[out]++
				mu.Unlock()
			}
		})
	}
	sending.Wait()
	check(t, cs.CloseSend())
	receiving.Wait()
	equal(t, len(got), senders*each)
	for out, n := range got {
		if n != 1 {
			t.Errorf("%q came %d times", out, n)
		}
	}
}

// The same on the server, with a handler of many goroutines.
func TestStreamServerFromManyGoroutines(t *testing.T) {
	const workers, each = 8, 200
	c := serve(t, withStream("many", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for {
					in, err := recvText(ss)
					if err != nil {
						return
					}
					if err := ss.SendMsg(text(in)); err != nil {
						t.Error("SendMsg:", err)
					}
				}
			})
		}
		wg.Wait()
		return nil
	}))).client()
	cs := open(t, bg, c, both, "many", nil)
	go func() {
		for i := range workers * each {
			if err := cs.SendMsg(text(fmt.Sprint(i))); err != nil {
				t.Error("SendMsg:", err)
			}
		}
		check(t, cs.CloseSend())
	}()
	got := map[string]bool{}
	for {
		out, err := recvText(cs)
		if err != nil {
			wantExactly(t, err, io.EOF)
			break
		}
		got[out] = true
	}
	equal(t, len(got), workers*each)
}

// bomb is a message of gogo's kind whose Unmarshal panics when it is told so.
type bomb struct{ text string }

func (b *bomb) Reset()                            { b.text = "" }
func (b *bomb) String() string                    { return b.text }
func (b *bomb) ProtoMessage()                     {}
func (b *bomb) Size() int                         { return len(b.text) }
func (b *bomb) MarshalTo(dst []byte) (int, error) { return copy(dst, b.text), nil }
func (b *bomb) Unmarshal(src []byte) error {
	if b.text = string(src); b.text == "bomb" {
		panic(b.text)
	}
	return nil
}

// A message that panics as it is decoded costs itself alone.
func TestUnmarshalPanicsInAStream(t *testing.T) {
	c, p := rawServer(t, "unix")
	cs := open(t, bg, c, down, "list", text(""))
	p.recv()
	lethal := rawFrame{id: 1, typ: 3, data: []byte("bomb")}
	p.send(lethal, rawFrame{id: 1, typ: 3, data: []byte("next")}, lethal)
	recv := func() (text string, panicked any) {
		m := new(bomb)
		defer func() { panicked = recover() }()
		check(t, cs.RecvMsg(m))
		return m.text, nil
	}
	for _, want := range []string{"bomb", "next", "bomb", "last"} {
		if want == "last" {
			p.send(rawFrame{id: 1, typ: 3, data: []byte("last")})
		}
		got, panicked := recv()
		if want == "bomb" {
			equal(t, panicked, any("bomb"))
			continue
		}
		equal(t, got, want)
	}
}
