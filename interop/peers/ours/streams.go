package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/messages"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// register gives a server one service with every method and stream.
func register(s *ttrpc.Server, name string, h *handlers) {
	s.RegisterService(name, &ttrpc.ServiceDesc{
		Methods: h.unaryMethods(),
		Streams: map[string]ttrpc.Stream{
			"Join": {Handler: h.join, StreamingClient: true},
			"List": {Handler: h.list, StreamingServer: true},
			"Chat": {Handler: h.chat, StreamingClient: true, StreamingServer: true},
			"Fall": {Handler: h.fall, StreamingClient: true, StreamingServer: true},
		},
	})
}

var (
	joinDesc = &ttrpc.StreamDesc{StreamingClient: true}
	listDesc = &ttrpc.StreamDesc{StreamingServer: true}
	chatDesc = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
)

// take receives one message.
func take(s interface{ RecvMsg(any) error }, f messages.Form) (messages.Item, error) {
	m := f.New()
	if err := s.RecvMsg(m); err != nil {
		return messages.Item{}, err
	}
	return f.Read(m), nil
}

// join answers with the checksum of all data it got, and the number of messages.
func (h *handlers) join(_ context.Context, s ttrpc.StreamServer) (any, error) {
	var data []byte
	for n := int64(0); ; n++ {
		i, err := take(s, h.form)
		if err == io.EOF {
			return h.form.Of(messages.Item{Number: n, Text: checksum(data)}), nil
		}
		if err != nil {
			return nil, err
		}
		data = append(data, i.Data...)
	}
}

// list sends as many messages as the request's number says, then ends as its text says.
func (h *handlers) list(ctx context.Context, s ttrpc.StreamServer) (any, error) {
	req, err := take(s, h.form)
	if err != nil {
		return nil, err
	}
	if req.Text == "look" {
		return nil, s.SendMsg(h.form.Of(messages.Item{Text: lookAt(ctx)}))
	}
	for n := int64(0); n < req.Number; n++ {
		if err := s.SendMsg(h.form.Of(messages.Item{Number: n, Data: req.Data})); err != nil {
			return nil, err
		}
	}
	return nil, failures[req.Text]
}

// chat sends every message back.
func (h *handlers) chat(_ context.Context, s ttrpc.StreamServer) (any, error) {
	for {
		i, err := take(s, h.form)
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if err := s.SendMsg(h.form.Of(i)); err != nil {
			return nil, err
		}
	}
}

// fall sends more than a frame takes, after one message of the client's.
func (h *handlers) fall(_ context.Context, s ttrpc.StreamServer) (any, error) {
	if _, err := take(s, h.form); err != nil {
		return nil, err
	}
	if err := s.SendMsg(h.form.Of(messages.Item{Data: make([]byte, limit)})); err != nil {
		return nil, status.Error(codes.OutOfRange, "too large to send")
	}
	return nil, nil
}

func init() {
	oversized = func(err error) (int, bool) {
		var big *ttrpc.OversizedMessageErr
		if !errors.As(err, &big) {
			return 0, false
		}
		return big.RejectedLength(), true
	}
	scenarios = append(scenarios, []scenario{
		{"stream/forms", "all came back", tryStreamForms},
		{"stream/client", "3 messages, 11 bytes, " + checksum([]byte("firstsecond"))[10:], tryJoin},
		{"stream/server", "5 in order, then EOF", func(s *session) (string, error) { return tryList(s, 5, 0, "") }},
		{"stream/server-none", "0 in order, then EOF", func(s *session) (string, error) { return tryList(s, 0, 0, "") }},
		{"stream/server-many", "20000 in order, then EOF", func(s *session) (string, error) { return tryList(s, 20000, 100, "") }},
		{"stream/server-large", "20 in order, then EOF", func(s *session) (string, error) { return tryList(s, 20, 1<<20, "") }},
		{"stream/both", "ping-pong of 50, then EOF", tryChat},
		{"stream/both-first-in-request", "first, then EOF", tryChatFirst},
		{"stream/empty-messages", "3 empty, then EOF", tryEmpty},
		{"stream/at-limit", "came back", func(s *session) (string, error) { return tryStreamSize(s, fillData()) }},
		{"stream/client-over-limit", "oversized 4194305, came back", func(s *session) (string, error) {
			err := s.chat(func(st ttrpc.ClientStream) error {
				return st.SendMsg(s.form.Of(messages.Item{Data: pattern(fillData() + 1)}))
			})
			text := saw(err)
			after, err := tryStreamSize(s, 10)
			return text + ", " + after, err
		}},
		{"stream/server-over-limit", "OutOfRange: too large to send, connection alive", func(s *session) (string, error) {
			err := s.open(chatDesc, "Fall", nil, func(st ttrpc.ClientStream) error {
				if err := st.SendMsg(s.form.Of(messages.Item{})); err != nil {
					return err
				}
				_, err := take(st, s.form)
				return err
			})
			return saw(err) + ", " + s.alive(), nil
		}},
		{
			"stream/status", "2 in order, then Aborted: detailed [*errdetails.RetryInfo][resource r]",
			func(s *session) (string, error) { return tryList(s, 2, 0, "details") },
		},
		{"stream/error", "0 in order, then OutOfRange: EOF", func(s *session) (string, error) { return tryList(s, 0, 0, "EOF") }},
		{"stream/unknown", "Unimplemented: method none, connection alive", func(s *session) (string, error) {
			err := s.open(chatDesc, "none", nil, func(st ttrpc.ClientStream) error { _, err := take(st, s.form); return err })
			return saw(err) + ", " + s.alive(), nil
		}},
		{"stream/cancelled", "context: context canceled, connection alive", tryStreamCancel},
		{"stream/deadline-and-metadata", `deadline true, within a minute true, metadata [k=["1" "2"]]`, tryStreamLook},
		{"stream/concurrent", "64 streams of 50 and 200 calls, all right", tryStreams},
	}...)
}

// open runs f on a new stream of the server's first service.
func (s *session) open(desc *ttrpc.StreamDesc, method string, req any, f func(ttrpc.ClientStream) error) error {
	return s.openCtx(context.Background(), desc, s.forms[0], method, req, f)
}

func (s *session) openCtx(
	ctx context.Context, desc *ttrpc.StreamDesc, theirs, method string, req any, f func(ttrpc.ClientStream) error,
) error {
	st, err := s.client.NewStream(ctx, desc, serviceName(theirs), method, req)
	if err != nil {
		return err
	}
	return f(st)
}

// chat runs f on an echoing stream.
func (s *session) chat(f func(ttrpc.ClientStream) error) error {
	return s.open(chatDesc, "Chat", nil, f)
}

// ping sends one message and wants it back.
func ping(st ttrpc.ClientStream, f messages.Form, want messages.Item) error {
	if err := st.SendMsg(f.Of(want)); err != nil {
		return err
	}
	got, err := take(st, f)
	if err == nil && !messages.Equal(got, want) {
		return fmt.Errorf("got %+v, want %+v", got, want)
	}
	return err
}

// finish closes the sending side and wants the end.
func finish(st ttrpc.ClientStream, f messages.Form) error {
	if err := st.CloseSend(); err != nil {
		return err
	}
	if i, err := take(st, f); err != io.EOF {
		return fmt.Errorf("no end, but %+v, %w", i, err)
	}
	return nil
}

func tryStreamForms(s *session) (string, error) {
	for _, mine := range forms {
		for _, theirs := range s.forms {
			err := s.openCtx(context.Background(), chatDesc, theirs, "Chat", nil, func(st ttrpc.ClientStream) error {
				if err := ping(st, mine, messages.Full(1)); err != nil {
					return err
				}
				return finish(st, mine)
			})
			if err != nil {
				return mine.Name + " to " + theirs, err
			}
		}
	}
	return "all came back", nil
}

func tryJoin(s *session) (string, error) {
	var got messages.Item
	err := s.open(joinDesc, "Join", nil, func(st ttrpc.ClientStream) (err error) {
		for _, text := range []string{"first", "", "second"} {
			if err := st.SendMsg(s.form.Of(messages.Item{Data: []byte(text)})); err != nil {
				return err
			}
		}
		if err := st.CloseSend(); err != nil {
			return err
		}
		got, err = take(st, s.form)
		return err
	})
	return fmt.Sprintf("%d messages, %s", got.Number, got.Text), err
}

// tryList wants n messages in order, and tells how the stream ended.
func tryList(s *session, n int64, size int, end string) (string, error) {
	req := s.form.Of(messages.Item{Number: n, Data: pattern(size), Text: end})
	var text string
	err := s.open(listDesc, "List", req, func(st ttrpc.ClientStream) error {
		for i := int64(0); ; i++ {
			got, err := take(st, s.form)
			if err != nil {
				text = fmt.Sprintf("%d in order, then %s", i, endOf(err))
				return nil
			}
			if got.Number != i || len(got.Data) != size {
				return fmt.Errorf("message %d has number %d and %d bytes", i, got.Number, len(got.Data))
			}
		}
	})
	return text, err
}

func endOf(err error) string {
	if err == io.EOF {
		return "EOF"
	}
	return saw(err)
}

func tryChat(s *session) (string, error) {
	return "ping-pong of 50, then EOF", s.chat(func(st ttrpc.ClientStream) error {
		for n := range int64(50) {
			if err := ping(st, s.form, messages.Full(n)); err != nil {
				return err
			}
		}
		return finish(st, s.form)
	})
}

func tryChatFirst(s *session) (string, error) {
	var first messages.Item
	err := s.open(chatDesc, "Chat", s.form.Of(messages.Item{Text: "first"}), func(st ttrpc.ClientStream) (err error) {
		if first, err = take(st, s.form); err != nil {
			return err
		}
		return finish(st, s.form)
	})
	return first.Text + ", then EOF", err
}

func tryEmpty(s *session) (string, error) {
	return "3 empty, then EOF", s.chat(func(st ttrpc.ClientStream) error {
		for range 3 {
			if err := ping(st, s.form, messages.Item{}); err != nil {
				return err
			}
		}
		return finish(st, s.form)
	})
}

// fillData is how much data fills a message of a stream to the limit.
func fillData() int {
	n := limit - 10
	for field(n) < limit {
		n++
	}
	return n
}

func tryStreamSize(s *session, n int) (string, error) {
	return "came back", s.chat(func(st ttrpc.ClientStream) error {
		if err := ping(st, s.form, messages.Item{Data: pattern(n)}); err != nil {
			return err
		}
		return finish(st, s.form)
	})
}

func tryStreamCancel(s *session) (string, error) {
	ctx, cancel := context.WithCancel(context.Background())
	err := s.openCtx(ctx, chatDesc, s.forms[0], "Chat", nil, func(st ttrpc.ClientStream) error {
		if err := ping(st, s.form, messages.Full(1)); err != nil {
			return err
		}
		cancel()
		_, err := take(st, s.form)
		return err
	})
	cancel()
	return saw(err) + ", " + s.alive(), nil
}

func tryStreamLook(s *session) (string, error) {
	ctx, cancel := context.WithTimeout(ttrpc.WithMetadata(context.Background(), ttrpc.MD{"k": {"1", "2"}}), time.Minute)
	defer cancel()
	var got messages.Item
	err := s.openCtx(ctx, listDesc, s.forms[0], "List", s.form.Of(messages.Item{Text: "look"}), func(st ttrpc.ClientStream) (err error) {
		if got, err = take(st, s.form); err != nil {
			return err
		}
		if _, err = take(st, s.form); err != io.EOF { // or else the end may be sent, or not
			return fmt.Errorf("behind the message: %w", err)
		}
		return nil
	})
	return got.Text, err
}

// tryStreams has many streams and calls on one connection at the same time.
func tryStreams(s *session) (string, error) {
	wrong := make(chan error, 300)
	var all sync.WaitGroup
	for n := range int64(64) {
		all.Go(func() {
			wrong <- s.chat(func(st ttrpc.ClientStream) error {
				for i := range int64(50) {
					if err := ping(st, s.form, messages.Full(n*100+i)); err != nil {
						return err
					}
				}
				return finish(st, s.form)
			})
		})
	}
	for n := range int64(200) {
		all.Go(func() {
			got, err := s.call(context.Background(), "Echo", messages.Full(n))
			if err == nil && !messages.Equal(got, messages.Full(n)) {
				err = fmt.Errorf("asked %d, got %+v", n, got)
			}
			wrong <- err
		})
	}
	all.Wait()
	for range len(wrong) {
		if err := <-wrong; err != nil {
			return "", err
		}
	}
	return "64 streams of 50 and 200 calls, all right", nil
}
