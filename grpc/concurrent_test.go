package grpcttrpc_test

import (
	"context"
	"io"
	"sync"
	"testing"

	grpcttrpc "github.com/containerd/ttrpc/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
)

// TestConcurrent has calls of all kinds on one connection at once, with options, some of which are
// given up.
func TestConcurrent(t *testing.T) {
	s := &service{unary: echo}
	sends(5, nil)(nil, s)
	s.input = func(stream inputServer) error {
		for n := int32(0); ; n++ {
			if _, err := stream.Recv(); err == io.EOF {
				return stream.SendAndClose(sum(n))
			} else if err != nil {
				return err
			}
		}
	}
	s.full = func(stream fullServer) error {
		received := make(chan error, 1)
		go func() {
			_, err := stream.Recv()
			received <- err
		}()
		if err := stream.Send(out(1)); err != nil {
			return err
		}
		return <-received
	}
	client := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(dial(t, serving(t, s, nil))))
	var callers sync.WaitGroup
	defer callers.Wait()
	for range 8 {
		callers.Go(func() {
			for range 10 {
				callAll(t, client)
			}
		})
	}
}

func callAll(t *testing.T, client grpc_testing.TestServiceClient) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	p := new(peer.Peer)
	if _, err := client.UnaryCall(ctx, request(10), grpc.Peer(p)); err != nil || p.Addr == nil {
		t.Errorf("unary: %v, from %v", err, p.Addr)
	}
	output, err := client.StreamingOutputCall(ctx, asks(1))
	for err == nil {
		_, err = output.Recv()
	}
	if err != io.EOF {
		t.Errorf("server's stream: %v", err)
	}
	input, err := client.StreamingInputCall(ctx)
	if err != nil {
		t.Errorf("client's stream: %v", err)
		return
	}
	for range 5 {
		if err := input.Send(in(1)); err != nil {
			t.Errorf("client's stream: %v", err)
		}
	}
	if m, err := input.CloseAndRecv(); err != nil || m.AggregatedPayloadSize != 5 {
		t.Errorf("client's stream: %v, %v", m, err)
	}
	finished := make(chan error, 1)
	full, err := client.FullDuplexCall(ctx, grpc.OnFinish(func(err error) { finished <- err }))
	if err == nil {
		_, err = full.Recv()
	}
	if err != nil {
		t.Errorf("both stream: %v", err)
	}
	cancel()
	if err := wait(t, finished); outcome(err) != "Canceled" {
		t.Errorf("given up: %v", err)
	}
}
