//go:build go1.25

package health

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/healthpb"
)

// slowStream is a stream of the service "a" whose client reads when the test does.
type slowStream chan ServingStatus

func (s slowStream) RecvMsg(m any) error {
	m.(*healthpb.Request).Service = "a"
	return nil
}

func (s slowStream) SendMsg(m any) error {
	s <- ServingStatus(m.(*healthpb.Response).Status)
	return nil
}

// TestSlowWatch holds that nobody waits for a slow client, which gets the latest status next.
func TestSlowWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stream, ended := NewServer(), slowStream(make(chan ServingStatus)), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- s.watch(ctx, nil, stream) }()
		synctest.Wait() // it stands in SendMsg with ServiceUnknown
		for range 1000 {
			s.SetServingStatus("a", Serving)
			s.SetServingStatus("a", NotServing)
		}
		for _, want := range []ServingStatus{ServiceUnknown, NotServing} {
			if got := <-stream; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		synctest.Wait()
		select {
		case got := <-stream:
			t.Errorf("got %v besides", got)
		default:
		}
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("ends with %v", err)
		}
		if len(s.watches) != 0 {
			t.Errorf("left behind: %v", s.watches)
		}
	})
}

// TestWatchForgotten holds that a watch whose client has gone is forgotten, and that others stay.
func TestWatchForgotten(t *testing.T) {
	s := NewServer()
	a, b, c := s.startWatch("a"), s.startWatch("a"), s.startWatch("c")
	s.endWatch(a)
	if len(s.watches) != 2 || len(s.watches["a"]) != 1 {
		t.Errorf("left: %v", s.watches)
	}
	s.endWatch(b)
	s.endWatch(c)
	if len(s.watches) != 0 {
		t.Errorf("left: %v", s.watches)
	}
}

// brokenStream fails to send.
type brokenStream struct{ slowStream }

var errBroken = errors.New("broken")

func (brokenStream) SendMsg(any) error { return errBroken }

func TestWatchEndsWithItsStream(t *testing.T) {
	if err := NewServer().watch(t.Context(), nil, brokenStream{}); err != errBroken {
		t.Errorf("ends with %v", err)
	}
}

// TestWatchEndsWithTheServer holds what a client of a server that is shut down gets, be the status
// NotServing already or not.
func TestWatchEndsWithTheServer(t *testing.T) {
	for _, before := range []ServingStatus{Serving, NotServing} {
		s, stream := NewServer(), slowStream(make(chan ServingStatus, 2))
		s.SetServingStatus("a", before)
		done := make(chan struct{})
		close(done)
		if err := s.watch(t.Context(), done, stream); status.Code(err) != codes.Unavailable {
			t.Errorf("ends with %v", err)
		}
		close(stream)
		last := before
		for last = range stream {
		}
		if last != NotServing {
			t.Errorf("the last one is %v", last)
		}
	}
}

// TestConcurrentWatches holds that watches may begin and end while the status changes, and that
// each gets the last one.
func TestConcurrentWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer()
		ctx, cancel := context.WithCancel(t.Context())
		last := make([]ServingStatus, 8)
		for i := range last {
			stream := slowStream(make(chan ServingStatus))
			go s.watch(ctx, nil, stream)
			go func() {
				for {
					select {
					case last[i] = <-stream:
					case <-ctx.Done():
						return
					}
				}
			}()
			go func() {
				for range 100 {
					s.SetServingStatus("a", Serving)
					s.endWatch(s.startWatch("a"))
				}
			}()
		}
		synctest.Wait()
		s.SetServingStatus("a", NotServing)
		synctest.Wait()
		for i, st := range last {
			if st != NotServing {
				t.Errorf("watch %d has %v", i, st)
			}
		}
		cancel()
		synctest.Wait()
		if len(s.watches) != 0 {
			t.Errorf("left behind: %v", s.watches)
		}
	})
}
