package rust

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	item "github.com/containerd/ttrpc/interop/messages/google"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// handlers are this module's side of the services in proto.
type handlers struct {
	server  *ttrpc.Server
	stopped chan error // what Shutdown returned
}

func (h *handlers) register() {
	h.server.Register(callsService, map[string]ttrpc.Method{
		"Echo": unary(func(_ context.Context, i *item.Item) (*item.Item, error) { return i, nil }),
		"Look": unary(look),
		"Fail": unary(func(_ context.Context, i *item.Item) (*item.Item, error) {
			return nil, status.Error(codes.NotFound, i.Text)
		}),
		"Wait": unary(func(ctx context.Context, _ *item.Item) (*item.Item, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		"Stop": unary(h.stop),
	})
	h.server.RegisterService(streamsService, &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
		"Join": {Handler: join, StreamingClient: true},
		"List": {Handler: list, StreamingServer: true},
		"Chat": {Handler: chat, StreamingClient: true, StreamingServer: true},
	}})
}

func unary(f func(context.Context, *item.Item) (*item.Item, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		req := new(item.Item)
		if err := unmarshal(req); err != nil {
			return nil, err
		}
		return f(ctx, req)
	}
}

func look(ctx context.Context, _ *item.Item) (*item.Item, error) {
	deadline, ok := ctx.Deadline()
	md, _ := ttrpc.GetMetadata(ctx)
	var all []string
	for k, v := range md {
		all = append(all, k+"="+strings.Join(v, "+"))
	}
	bounded := ok && time.Until(deadline) <= time.Minute
	return &item.Item{Text: fmt.Sprintf("deadline %t, metadata %s", bounded, strings.Join(all, " "))}, nil
}

// stop has the server shut down, which waits for this call's answer.
func (h *handlers) stop(context.Context, *item.Item) (*item.Item, error) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		h.stopped <- h.server.Shutdown(ctx)
	}()
	return new(item.Item), nil
}

func join(_ context.Context, s ttrpc.StreamServer) (any, error) {
	sum := new(item.Item)
	for {
		var i item.Item
		if err := s.RecvMsg(&i); err == io.EOF {
			return sum, nil
		} else if err != nil {
			return nil, err
		}
		sum.Number++
		sum.Data = append(sum.Data, i.Data...)
	}
}

func list(_ context.Context, s ttrpc.StreamServer) (any, error) {
	var req item.Item
	if err := s.RecvMsg(&req); err != nil {
		return nil, err
	}
	for n := range req.Number {
		if err := s.SendMsg(&item.Item{Number: n}); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func chat(_ context.Context, s ttrpc.StreamServer) (any, error) {
	for {
		var i item.Item
		if err := s.RecvMsg(&i); err == io.EOF {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if err := s.SendMsg(&i); err != nil {
			return nil, err
		}
	}
}
