//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// Ways of a handler to end that has waited for messages.
func TestStreamHandlerEnds(t *testing.T) {
	const handlerExit = "ttrpc: handler exited without returning"
	again := func(ss ttrpc.StreamServer) {
		_, err := recvText(ss)
		check(t, err)
	}
	for name, test := range map[string]struct {
		mood    func(ctx context.Context, ss ttrpc.StreamServer) error
		timeout time.Duration
		want    func(b *moodRig)
	}{
		"Goexit": {
			mood: func(_ context.Context, ss ttrpc.StreamServer) error { again(ss); runtime.Goexit(); return nil },
			want: func(b *moodRig) { b.wantStatus(b.id, codes.Unknown, handlerExit) },
		},
		"Goexit, later": {
			mood: func(_ context.Context, ss ttrpc.StreamServer) error {
				again(ss)
				again(ss)
				runtime.Goexit()
				return nil
			},
			want: func(b *moodRig) {
				elapse(3 * time.Millisecond)
				b.send(data(b.id, 0, "z"))
				b.wantStatus(b.id, codes.Unknown, handlerExit)
			},
		},
		"panic": {
			mood: func(_ context.Context, ss ttrpc.StreamServer) error { again(ss); panic("no") },
			want: func(b *moodRig) { b.wantStatus(b.id, codes.Internal, "recovered: no") },
		},
		"error": {
			mood: func(_ context.Context, ss ttrpc.StreamServer) error { again(ss); return errors.New("no") },
			want: func(b *moodRig) { b.wantStatus(b.id, codes.Unknown, "no") },
		},
		"deadline": {
			mood:    func(_ context.Context, ss ttrpc.StreamServer) error { _, err := recvText(ss); return err },
			timeout: 200 * time.Millisecond,
			want: func(b *moodRig) {
				b.wantStatus(b.id, codes.DeadlineExceeded, context.DeadlineExceeded.Error())
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newMoodRig(t, test.mood, ttrpc.WithRecovery(func(_ context.Context, _ string, v any, _ []byte) error {
				return status.Errorf(codes.Internal, "recovered: %v", v)
			}))
			for range 5 {
				b.start(test.timeout)
				if test.timeout == 0 {
					b.send(data(b.id, 0, "y"))
				}
				test.want(b)
				b.usable()
			}
		})
	}
}

// Ways of the connection to end under a handler, which learns of it wherever it is.
func TestStreamHandlerOfAConnectionThatEnds(t *testing.T) {
	ends := map[string]func(b *moodRig){
		"gone":   func(b *moodRig) { check(t, b.rawPeer.Close()) },
		"closed": func(b *moodRig) { check(t, b.Server.Close()) },
		"damaged": func(b *moodRig) {
			_, err := b.rawPeer.Write(make([]byte, 5))
			check(t, err)
			check(t, b.rawPeer.Close())
		},
		"shut down": func(b *moodRig) {
			ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
			defer cancel()
			wantExactly(t, b.Shutdown(ctx), context.DeadlineExceeded)
			check(t, b.Server.Close())
		},
	}
	moods := map[string]func(ctx context.Context, ss ttrpc.StreamServer) error{
		"receives": func(_ context.Context, ss ttrpc.StreamServer) error { _, err := recvText(ss); return err },
		"blocks":   func(ctx context.Context, _ ttrpc.StreamServer) error { <-ctx.Done(); return ctx.Err() },
		"blocks later": func(ctx context.Context, ss ttrpc.StreamServer) error {
			if _, err := recvText(ss); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
	}
	for name, end := range ends {
		for mood, f := range moods {
			t.Run(fmt.Sprint(name, ", ", mood), func(t *testing.T) {
				result := make(chan error, 1)
				b := newMoodRig(t, func(ctx context.Context, ss ttrpc.StreamServer) error {
					err := f(ctx, ss)
					result <- err
					return err
				})
				b.start(0)
				if mood == "blocks later" {
					b.send(data(b.id, 0, "y"))
				}
				end(b)
				if err := wait(t, result, "the handler's end"); err == nil {
					t.Error("it ended well")
				}
				eventually(t, "the connection to be forgotten", func() bool { return ttrpc.ConnCount(b.Server) == 0 })
			})
		}
	}
}

// Shutdown waits for a handler that waits for messages, and what the client sends still reaches it.
func TestStreamHandlerAtShutdown(t *testing.T) {
	for range moodRounds {
		b := newMoodRig(t, chat)
		b.start(0)
		done := make(chan error, 1)
		go func() { done <- b.Shutdown(bg) }()
		wantExactly(t, wait(t, b.served, "Serve"), ttrpc.ErrServerClosed)
		b.send(data(b.id, 0, "y"))
		b.want(data(b.id, 0, "y"))
		b.send(closing(b.id))
		b.want(closing(b.id))
		check(t, wait(t, done, "Shutdown"))
		b.wantEnd()
	}
}
