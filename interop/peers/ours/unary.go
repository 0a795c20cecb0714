package main

import (
	"context"
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/messages"
)

// limit is the largest frame that a release takes.
const limit = 4 << 20

var unaryScenarios = []scenario{
	{"messages/forms", "all came back", tryForms},
	{
		"messages/nil-reply",
		"error: Unknown: ttrpc: marshal called with nil: /ttrpc.interop.google/Nil returned neither a message nor an error",
		func(s *session) (string, error) {
			_, err := s.call(context.Background(), "Nil", messages.Item{})
			return "", err
		},
	},
	{"sizes/echo", "all came back", trySizes},
	{
		"sizes/request-at-limit", checksum(pattern(fillRequest("Sum"))),
		func(s *session) (string, error) { return trySum(s, fillRequest("Sum")) },
	},
	{"sizes/request-over-limit", "oversized 4194305, connection alive", func(s *session) (string, error) {
		_, err := trySum(s, fillRequest("Sum")+1)
		return saw(err) + ", " + s.alive(), nil
	}},
	{"sizes/reply-at-limit", checksum(pattern(fillReply())), func(s *session) (string, error) { return tryBig(s, fillReply()) }},
	{"sizes/reply-over-limit", "ResourceExhausted: message length 4194305 exceed maximum message size of 4194304, " +
		"connection alive", func(s *session) (string, error) {
		_, err := tryBig(s, fillReply()+1)
		return saw(err) + ", " + s.alive(), nil
	}},
	{
		"deadline/none", "deadline false, within a minute false, metadata []",
		func(s *session) (string, error) { return tryLook(s, context.Background()) },
	},
	{"deadline/sent", "deadline true, within a minute true, metadata []", func(s *session) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return tryLook(s, ctx)
	}},
	{
		"deadline/exceeded", "context: context deadline exceeded, connection alive, handler ended",
		func(s *session) (string, error) { return tryDeadline(s) },
	},
	{"deadline/cancelled", "context: context canceled, connection alive", func(s *session) (string, error) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := s.call(ctx, "Until", messages.Item{})
		return saw(err) + ", " + s.alive(), nil
	}},
	{"metadata/none", "deadline false, within a minute false, metadata []", func(s *session) (string, error) {
		return tryLook(s, ttrpc.WithMetadata(context.Background(), ttrpc.MD{}))
	}},
	{"metadata/values", `deadline false, within a minute false, metadata [a=["1" "2" "3"] b=[""] é=["ü"]]`, func(s *session) (string, error) {
		return tryLook(s, ttrpc.WithMetadata(context.Background(), ttrpc.MD{"a": {"1", "2", "3"}, "b": {""}, "é": {"ü"}, "empty": {}}))
	}},
	{"status/plain", "error: NotFound: not found", tryFail("status")},
	{"status/details", "error: Aborted: detailed [*errdetails.RetryInfo][resource r]", tryFail("details")},
	{"errors/mapped", mappedErrors, tryMapped},
	{"unknown/service", "error: Unimplemented: service none", func(s *session) (string, error) {
		return "", s.client.Call(context.Background(), "none", "Echo", s.form.New(), s.form.New())
	}},
	{"unknown/method", "error: Unimplemented: method none", func(s *session) (string, error) {
		_, err := s.call(context.Background(), "none", messages.Item{})
		return "", err
	}},
	{"unknown/then", "connection alive", func(s *session) (string, error) {
		s.call(context.Background(), "none", messages.Item{})
		return s.alive(), nil
	}},
	{"concurrent/1000", "1000 right answers", tryConcurrent},
	{"close/own", "ErrClosed, ErrClosed", tryClose},
}

// tryForms echoes a message with every field, of every form, to every form.
func tryForms(s *session) (string, error) {
	var n int64
	for _, mine := range forms {
		for _, theirs := range s.forms {
			for _, want := range []messages.Item{{}, messages.Full(n)} {
				n++
				got, err := s.callForm(context.Background(), mine, theirs, "Echo", want)
				if err != nil {
					return mine.Name + " to " + theirs, err
				}
				if !messages.Equal(got, want) {
					return fmt.Sprintf("%s to %s: got %+v, want %+v", mine.Name, theirs, got, want), nil
				}
			}
		}
	}
	return "all came back", nil
}

func trySizes(s *session) (string, error) {
	for _, n := range []int{0, 1, 127, 128, 4086, 4096, 65535, 65536, 1 << 20, 3<<20 + 1, limit - 1024} {
		want := pattern(n)
		got, err := s.call(context.Background(), "Echo", messages.Item{Data: want})
		if err != nil {
			return fmt.Sprint(n, " bytes"), err
		}
		if string(got.Data) != string(want) {
			return fmt.Sprintf("%d bytes came back as %s", n, checksum(got.Data)), nil
		}
	}
	return "all came back", nil
}

// field is the size of a length-delimited field with a tag of one byte.
func field(n int) int { return 1 + (bits.Len(uint(n)|1)+6)/7 + n }

// fillReply is how much data fills a reply to the limit.
func fillReply() int {
	n := limit - 10
	for field(field(n)) < limit {
		n++
	}
	return n
}

// fillRequest is how much data fills a request to the limit. The services' names differ in
// length, so the scenarios use the first form's on both sides: see paddedName.
func fillRequest(method string) int {
	n := limit - 100
	for field(len(paddedName))+field(len(method))+field(field(n)) < limit {
		n++
	}
	return n
}

// paddedName is a service that every server has beside those of its forms, so that the
// size of a request doesn't hang on a form's name.
const paddedName = "ttrpc.interop"

func trySum(s *session, n int) (string, error) {
	resp := s.form.New()
	err := s.client.Call(context.Background(), paddedName, "Sum", s.form.Of(messages.Item{Data: pattern(n)}), resp)
	return s.form.Read(resp).Text, err
}

func tryBig(s *session, n int) (string, error) {
	got, err := s.call(context.Background(), "Big", messages.Item{Number: int64(n)})
	return checksum(got.Data), err
}

func tryLook(s *session, ctx context.Context) (string, error) {
	got, err := s.call(ctx, "Look", messages.Item{})
	return got.Text, err
}

// tryDeadline lets a deadline pass on both sides, and waits for the handler's to have been seen.
func tryDeadline(s *session) (string, error) {
	// Handlers of scenarios before this one are not meant.
	if _, err := s.call(context.Background(), "Ended", messages.Item{Number: 1}); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	_, err := s.call(ctx, "Until", messages.Item{})
	text := saw(err)
	if strings.HasPrefix(text, "DeadlineExceeded") {
		text = "context: context deadline exceeded" // the server's answer came first
	}
	text += ", " + s.alive()
	ended, err := s.call(context.Background(), "Ended", messages.Item{Number: 500})
	if err != nil {
		return text, err
	}
	if ended.Number == 1 {
		return text + ", handler ended", nil
	}
	return text + ", handler goes on", nil
}

func tryFail(name string) func(*session) (string, error) {
	return func(s *session) (string, error) {
		_, err := s.call(context.Background(), "Fail", messages.Item{Text: name})
		return "", err
	}
}

// mappedErrors is what a client sees of the errors that have a code of their own.
const mappedErrors = "plain: Unknown: plain error; EOF: OutOfRange: EOF; ErrUnexpectedEOF: FailedPrecondition: unexpected EOF; " +
	"ErrClosedPipe: FailedPrecondition: io: read/write on closed pipe; " +
	"ErrNoProgress: FailedPrecondition: multiple Read calls return no data or error; " +
	"ErrShortBuffer: FailedPrecondition: short buffer; ErrShortWrite: FailedPrecondition: short write; " +
	"ErrInvalid: InvalidArgument: invalid argument; " +
	"ErrExist: AlreadyExists: file already exists; ErrNotExist: NotFound: file does not exist; " +
	"ErrPermission: PermissionDenied: permission denied; " +
	"Canceled: Canceled: context canceled; DeadlineExceeded: DeadlineExceeded: context deadline exceeded; " +
	"PathError: NotFound: open p: file does not exist"

func tryMapped(s *session) (string, error) {
	var seen []string
	for _, name := range []string{"plain", "EOF", "ErrUnexpectedEOF", "ErrClosedPipe", "ErrNoProgress", "ErrShortBuffer", "ErrShortWrite",
		"ErrInvalid", "ErrExist", "ErrNotExist", "ErrPermission", "Canceled", "DeadlineExceeded", "PathError"} {
		_, err := s.call(context.Background(), "Fail", messages.Item{Text: name})
		seen = append(seen, name+": "+saw(err))
	}
	return strings.Join(seen, "; "), nil
}

// tryConcurrent has a thousand calls in flight on one connection, each with its own answer.
func tryConcurrent(s *session) (string, error) {
	const calls = 1000
	wrong := make(chan string, calls)
	var all sync.WaitGroup
	for i := 0; i < calls; i++ {
		all.Add(1)
		go func(n int64) {
			defer all.Done()
			theirs := s.forms[int(n)%len(s.forms)]
			mine := forms[int(n/7)%len(forms)]
			got, err := s.callForm(context.Background(), mine, theirs, "Echo", messages.Full(n))
			if err != nil {
				wrong <- saw(err)
			} else if !messages.Equal(got, messages.Full(n)) {
				wrong <- fmt.Sprintf("asked %d, got %+v", n, got)
			}
		}(int64(i))
	}
	all.Wait()
	if n := len(wrong); n > 0 {
		return fmt.Sprintf("%d wrong, for one: %s", n, <-wrong), nil
	}
	return fmt.Sprintf("%d right answers", calls), nil
}

// tryClose closes the client under a call, and calls once more.
func tryClose(s *session) (string, error) {
	done := make(chan error, 1)
	go func() {
		_, err := s.call(context.Background(), "Until", messages.Item{})
		done <- err
	}()
	for range 3 { // the call above is on its way after these
		if _, err := s.call(context.Background(), "Echo", messages.Item{}); err != nil {
			return "", err
		}
	}
	s.client.Close()
	text := saw(<-done)
	_, err := s.call(context.Background(), "Echo", messages.Item{})
	return text + ", " + saw(err), nil
}

// recordedScenarios are there for their bytes, which are recorded. The last ends the server.
var recordedScenarios = []scenario{
	{"late/answer", "context: context canceled, freed, connection alive", tryLateAnswer},
	{"shutdown/in-flight", "held", tryShutdown},
}

// begin has a call held back, and returns when it is.
func (s *session) begin(ctx context.Context) (<-chan error, error) {
	done := make(chan error, 1)
	go func() {
		_, err := s.call(ctx, "Hold", messages.Item{Text: "held"})
		done <- err
	}()
	_, err := s.call(context.Background(), "Held", messages.Item{})
	return done, err
}

// tryLateAnswer gives a call up that is answered all the same.
func tryLateAnswer(s *session) (string, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done, err := s.begin(ctx)
	if err != nil {
		return "", err
	}
	cancel()
	text := saw(<-done)
	if _, err := s.call(context.Background(), "Free", messages.Item{}); err != nil {
		return text, err
	}
	return text + ", freed, " + s.alive(), nil
}

// tryShutdown has the server shut down while a call is in flight, and sees that answered.
func tryShutdown(s *session) (string, error) {
	done, err := s.begin(context.Background())
	if err != nil {
		return "", err
	}
	if _, err := s.call(context.Background(), "Leave", messages.Item{}); err != nil {
		return "Leave", err
	}
	return "held", <-done
}
