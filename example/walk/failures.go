package walk

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/pkg/errors"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// statusDetails calls for a task that isn't there, and reads the status's code, text and detail.
func (w *walker) statusDetails(ctx context.Context) error {
	id := "nobody"
	return w.line("Kill(nobody)", func() (string, error) {
		st, err := expectStatus(w.kill(ctx, id), codes.NotFound)
		if err != nil {
			return "", err
		}
		for _, d := range st.Details() {
			if r, ok := d.(*errdetails.ResourceInfo); ok && r.ResourceName == id {
				return fmt.Sprintf("%s %q, detail %s %s", st.Code(), st.Message(), r.ResourceType, r.ResourceName), nil
			}
		}
		return "", errors.Errorf("the status has no ResourceInfo of %s but %v", id, st.Details())
	})
}

// deadline waits for a task that outlives the call's context. The deadline travels along, so the
// server's handler ends at about the same time, and either end may be the first to say so.
func (w *walker) deadline(ctx context.Context) error {
	return w.withTask(ctx, func(id string) error {
		return w.line("Wait, deadline in 50ms", func() (string, error) {
			ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			_, err := w.wait(ctx, id)
			if !errors.Is(err, context.DeadlineExceeded) && status.Code(err) != codes.DeadlineExceeded {
				return "", errors.Errorf("want an exceeded deadline, got %v", err)
			}
			return err.Error(), nil
		})
	})
}

// cancelled gives a call up once the server is known to be working on it, and has the handler tell
// that it has heard of it.
func (w *walker) cancelled(ctx context.Context) error {
	return w.withTask(ctx, func(id string) error {
		stream, err := w.events(ctx, id)
		if err != nil {
			return errors.Wrap(err, "events")
		}
		err = w.line("Wait, cancelled on the way", func() (string, error) {
			waitCtx, cancel := context.WithCancel(ctx)
			defer cancel()
			ended := w.startWait(waitCtx, id)
			if err := skipTo(stream, "TaskAwaited"); err != nil {
				return "", err
			}
			cancel()
			end := <-ended
			if !errors.Is(end.err, context.Canceled) {
				return "", errors.Errorf("want %v, got %v", context.Canceled, end.err)
			}
			return end.err.Error(), nil
		})
		if err != nil {
			return err
		}
		return w.line("Wait, as its handler has it", func() (string, error) {
			const want = "TaskGivenUp{context canceled}"
			return want, skipTo(stream, want)
		})
	})
}

// oversized meets the limit on messages in both directions. It costs no more than the call.
func (w *walker) oversized(ctx context.Context) error {
	return w.withTask(ctx, func(id string) error {
		err := w.line("Create(5 MiB)", func() (string, error) {
			_, err := w.create(ctx, id+"-large", 0, make([]byte, 5<<20))
			var oversized *ttrpc.OversizedMessageErr
			if !errors.As(err, &oversized) {
				return "", errors.Errorf("want an OversizedMessageErr, got %v", err)
			}
			return fmt.Sprintf("not sent: %d bytes of at most %d", oversized.RejectedLength(), oversized.MaximumLength()), nil
		})
		if err != nil {
			return err
		}
		err = w.line("Logs(5 MiB)", func() (string, error) {
			_, err := w.logs(ctx, id, 5<<20)
			st, err := expectStatus(err, codes.ResourceExhausted)
			return st.Code().String(), err
		})
		if err != nil {
			return err
		}
		return w.line("Logs(4,000,000), same connection", func() (string, error) {
			data, err := w.logs(ctx, id, 4_000_000)
			return fmt.Sprintf("%d bytes", len(data)), err
		})
	})
}

// shutdownInFlight asks the server to end while it has two calls to answer, and sees both answered.
func (w *walker) shutdownInFlight(ctx context.Context) error {
	id := w.id()
	if _, err := w.create(ctx, id, 0, nil); err != nil {
		return errors.Wrap(err, "create")
	}
	stream, err := w.events(ctx, id)
	if err != nil {
		return errors.Wrap(err, "events")
	}
	ended := w.startWait(ctx, id)
	if err := skipTo(stream, "TaskAwaited"); err != nil {
		return err
	}
	err = w.line("Shutdown", func() (string, error) { return "under way; 2 calls in flight", w.shutdown(ctx) })
	if err != nil {
		return err
	}
	err = w.line("Wait, in flight", func() (string, error) {
		end := <-ended
		return expectExit(end.exitStatus, 143, end.err)
	})
	if err != nil {
		return err
	}
	err = w.line("Events, in flight", func() (string, error) { return expectEvents(stream, "TaskExited{status 143}") })
	if err != nil {
		return err
	}
	return w.afterwards(ctx, id)
}

// afterwards waits for the server to close the connection, and makes a call too many.
func (w *walker) afterwards(ctx context.Context, id string) error {
	if err := w.conn.UserOnCloseWait(ctx); err != nil {
		return errors.Wrap(err, "waiting for the server to close the connection")
	}
	return w.line("Wait, on the closed connection", func() (string, error) {
		_, err := w.wait(ctx, id)
		if !errors.Is(err, ttrpc.ErrClosed) {
			return "", errors.Errorf("want %v, got %v", ttrpc.ErrClosed, err)
		}
		return err.Error(), nil
	})
}

type waitEnd struct {
	exitStatus uint32
	err        error
}

// startWait calls Wait beside the caller.
func (w *walker) startWait(ctx context.Context, id string) <-chan waitEnd {
	ended := make(chan waitEnd, 1)
	go func() {
		exit, err := w.wait(ctx, id)
		ended <- waitEnd{exit, err}
	}()
	return ended
}

func expectExit(got, want uint32, err error) (string, error) {
	if err == nil && got != want {
		err = errors.Errorf("want exit status %d, got %d", want, got)
	}
	return fmt.Sprintf("exit status %d", got), err
}

// expectStatus returns the status of a call that was to fail with code.
func expectStatus(err error, code codes.Code) (*status.Status, error) {
	st, ok := status.FromError(err)
	if !ok || st.Code() != code {
		return st, errors.Errorf("want status %s, got %v", code, err)
	}
	return st, nil
}

// skipTo reads events until one whose text starts so.
func skipTo(stream eventStream, text string) error {
	for {
		e, err := stream.next()
		if err != nil {
			return errors.Wrapf(err, "waiting for %s", text)
		}
		if strings.HasPrefix(e.text, text) {
			return nil
		}
	}
}

// expectEvents reads a stream to its end and compares the starts of its events' texts.
func expectEvents(stream eventStream, want ...string) (string, error) {
	var texts []string
	for {
		e, err := stream.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if n := len(texts); n >= len(want) || !strings.HasPrefix(e.text, want[n]) {
			return "", errors.Errorf("want events %v, got %v and then %s", want, texts, e.text)
		}
		texts = append(texts, e.text)
	}
	if len(texts) != len(want) {
		return "", errors.Errorf("want events %v, got %v", want, texts)
	}
	return strings.Join(texts, ", "), nil
}
