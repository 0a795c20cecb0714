//go:build go1.25

package health_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/health"
	"github.com/containerd/ttrpc/internal/pipe"
)

// rig is a health server on a ttrpc server, and a client, in a bubble that they end with.
type rig struct {
	*health.Server
	ttrpc  *ttrpc.Server
	client *ttrpc.Client
}

// run runs a test in a bubble, where synctest.Wait says that all is quiet, and time costs none.
func run(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := ttrpc.NewServer()
		check(t, err)
		r := &rig{Server: health.NewServer(), ttrpc: s}
		r.Register(s)
		l := pipe.Listen()
		go s.Serve(context.Background(), l)
		conn, err := l.Dial(pipe.Options{}, pipe.Options{})
		check(t, err)
		r.client = ttrpc.NewClient(conn)
		defer s.Close()
		defer r.client.Close()
		test(t, r)
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func wantStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if st, ok := status.FromError(err); !ok || st.Code() != code || st.Message() != text {
		t.Fatalf("got %v, want %v %q", err, code, text)
	}
}

// watching pulls the statuses of one watch.
type watching struct {
	t    *testing.T
	next func() (health.ServingStatus, error, bool)
	stop func()
}

func (r *rig) watch(t *testing.T, ctx context.Context, service string) *watching {
	w := &watching{t: t}
	w.next, w.stop = iter.Pull2(health.Watch(ctx, r.client, service))
	return w
}

func (w *watching) want(statuses ...health.ServingStatus) {
	w.t.Helper()
	for _, want := range statuses {
		got, err, ok := w.next()
		if got != want || err != nil || !ok {
			w.t.Fatalf("got %v, %v, %v, want %v", got, err, ok, want)
		}
	}
}

// err returns the error that the watch ends with.
func (w *watching) err() error {
	w.t.Helper()
	st, err, ok := w.next()
	if st != health.Unknown || err == nil || !ok {
		w.t.Fatalf("got %v, %v, %v, want an error", st, err, ok)
	}
	if _, _, ok := w.next(); ok {
		w.t.Fatal("the sequence goes on behind its error")
	}
	return err
}

func TestCheck(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		got := func(service string) health.ServingStatus {
			t.Helper()
			st, err := health.Check(t.Context(), r.client, service)
			check(t, err)
			return st
		}
		equal(t, got(""), health.Serving)
		_, err := health.Check(t.Context(), r.client, "a")
		wantStatus(t, err, codes.NotFound, "unknown service")
		for _, want := range []health.ServingStatus{
			health.Serving, health.NotServing, health.Unknown, health.ServiceUnknown, 17, -1,
		} {
			r.SetServingStatus("a", want)
			equal(t, got("a"), want)
		}
		r.SetServingStatus("", health.NotServing)
		equal(t, got(""), health.NotServing)
	})
}

func TestShutdownAndResume(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		list := func(want string) {
			t.Helper()
			all, err := health.List(t.Context(), r.client)
			check(t, err)
			equal(t, fmt.Sprint(all), want)
		}
		list("map[:SERVING]")
		r.SetServingStatus("a", health.Unknown)
		list("map[:SERVING a:UNKNOWN]")
		r.Shutdown()
		r.SetServingStatus("a", health.Serving)
		r.SetServingStatus("b", health.Serving)
		list("map[:NOT_SERVING a:NOT_SERVING]")
		r.Resume()
		list("map[:SERVING a:SERVING]")
		r.SetServingStatus("b", health.NotServing)
		list("map[:SERVING a:SERVING b:NOT_SERVING]")
	})
}

func TestListIsBounded(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		for i := range 99 {
			r.SetServingStatus(fmt.Sprint(i), health.Serving)
		}
		all, err := health.List(t.Context(), r.client)
		check(t, err)
		equal(t, len(all), 100)
		r.SetServingStatus("one too many", health.Serving)
		_, err = health.List(t.Context(), r.client)
		wantStatus(t, err, codes.ResourceExhausted, "server health list exceeds maximum capacity: 100")
	})
}

func TestWatch(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		whole, a := r.watch(t, t.Context(), ""), r.watch(t, t.Context(), "a")
		defer whole.stop()
		defer a.stop()
		whole.want(health.Serving)
		a.want(health.ServiceUnknown)
		r.SetServingStatus("a", health.Serving)
		a.want(health.Serving)
		r.SetServingStatus("a", health.Serving) // no change
		synctest.Wait()
		r.SetServingStatus("a", health.Unknown)
		a.want(health.Unknown)
		r.Shutdown()
		whole.want(health.NotServing)
		a.want(health.NotServing)
		r.SetServingStatus("a", health.Unknown)
		synctest.Wait()
		r.Resume()
		whole.want(health.Serving)
		a.want(health.Serving)
	})
}

func TestWatchEnds(t *testing.T) {
	type end struct {
		name string
		do   func(r *rig, cancel func())
		want func(t *testing.T, w *watching)
	}
	closed := func(t *testing.T, w *watching) {
		t.Helper()
		if err := w.err(); !errors.Is(err, ttrpc.ErrClosed) {
			t.Errorf("ends with %v", err)
		}
	}
	// The handler may have sent its last status before Close has cut the connection.
	cut := func(t *testing.T, w *watching) {
		t.Helper()
		st, err, _ := w.next()
		if st == health.NotServing {
			_, err, _ = w.next()
		}
		if !errors.Is(err, ttrpc.ErrClosed) && status.Code(err) != codes.Unavailable {
			t.Errorf("ends with %v, %v", st, err)
		}
	}
	for _, end := range []end{
		{"Shutdown", func(r *rig, _ func()) { _ = r.ttrpc.Shutdown(context.Background()) }, func(t *testing.T, w *watching) {
			w.want(health.NotServing)
			wantStatus(t, w.err(), codes.Unavailable, "health: the server is shutting down")
		}},
		{"server's Close", func(r *rig, _ func()) { r.ttrpc.Close() }, cut},
		{"client's Close", func(r *rig, _ func()) { r.client.Close() }, closed},
		{"cancel", func(_ *rig, cancel func()) { cancel() }, func(t *testing.T, w *watching) {
			equal(t, w.err(), context.Canceled)
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			run(t, func(t *testing.T, r *rig) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w := r.watch(t, ctx, "")
				defer w.stop()
				w.want(health.Serving)
				synctest.Wait()
				end.do(r, cancel)
				end.want(t, w)
			})
		})
	}
}

func TestWatchDeadline(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		w := r.watch(t, ctx, "")
		defer w.stop()
		w.want(health.Serving)
		equal(t, w.err(), context.DeadlineExceeded)
	})
}

func TestWaitForServing(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		check(t, health.WaitForServing(t.Context(), r.client, ""))
		ready := make(chan error, 1)
		go func() { ready <- health.WaitForServing(t.Context(), r.client, "a") }()
		for _, st := range []health.ServingStatus{health.ServiceUnknown, health.NotServing, health.Unknown} {
			r.SetServingStatus("a", st)
			synctest.Wait()
			select {
			case err := <-ready:
				t.Fatalf("%v: returned %v", st, err)
			default:
			}
		}
		r.SetServingStatus("a", health.Serving)
		check(t, <-ready)
		check(t, r.ttrpc.Shutdown(context.Background()))
		if err := health.WaitForServing(t.Context(), r.client, ""); !errors.Is(err, ttrpc.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestWithoutServer holds what a client hears where there is no health service.
func TestWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := ttrpc.NewServer()
		check(t, err)
		defer s.Close()
		l := pipe.Listen()
		go s.Serve(context.Background(), l)
		conn, err := l.Dial(pipe.Options{}, pipe.Options{})
		check(t, err)
		client := ttrpc.NewClient(conn)
		defer client.Close()
		const text = "service grpc.health.v1.Health"
		_, err = health.Check(t.Context(), client, "")
		wantStatus(t, err, codes.Unimplemented, text)
		_, err = health.List(t.Context(), client)
		wantStatus(t, err, codes.Unimplemented, text)
		wantStatus(t, health.WaitForServing(t.Context(), client, ""), codes.Unimplemented, text)
	})
}

func TestRegisterTwicePanics(t *testing.T) {
	s, err := ttrpc.NewServer()
	check(t, err)
	health.NewServer().Register(s)
	defer func() { equal(t, fmt.Sprint(recover()), "duplicate service grpc.health.v1.Health registered") }()
	health.NewServer().Register(s)
}

func TestServingStatusString(t *testing.T) {
	for st, want := range map[health.ServingStatus]string{
		health.Unknown: "UNKNOWN", health.Serving: "SERVING", health.NotServing: "NOT_SERVING",
		health.ServiceUnknown: "SERVICE_UNKNOWN", 4: "4", -1: "-1",
	} {
		equal(t, st.String(), want)
	}
}
