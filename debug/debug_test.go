//go:build go1.25

package debug_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/debug"
	"github.com/containerd/ttrpc/ttrpctest"
)

func TestSnapshotShowsCallsInFlight(t *testing.T) {
	runs := make(chan struct{})
	server := ttrpctest.NewServer(t, func(s *ttrpc.Server) {
		debug.Register(s)
		s.Register("test.Slow", map[string]ttrpc.Method{
			"Wait": func(ctx context.Context, _ func(any) error) (any, error) {
				close(runs)
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
	})
	client := server.Client()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Call(ctx, "test.Slow", "Wait", new(emptypb.Empty), new(emptypb.Empty)) }()
	<-runs
	snapshot, err := debug.Snapshot(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]bool{}
	for _, conn := range snapshot.Conns {
		for _, call := range conn.Calls {
			methods[call.Method] = true
		}
	}
	if !methods["/test.Slow/Wait"] && !methods["test.Slow/Wait"] {
		t.Errorf("the call in flight is not among %v", methods)
	}
	cancel()
	<-ended
}

func TestSnapshotUnimplemented(t *testing.T) {
	client := ttrpctest.NewServer(t, func(*ttrpc.Server) {}).Client()
	if _, err := debug.Snapshot(t.Context(), client); ttrpc.StatusOf(err).Code() != codes.Unimplemented {
		t.Error(err)
	}
}
