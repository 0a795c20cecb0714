package ttrpctest

import (
	"context"
	"sync"

	"github.com/containerd/ttrpc"
)

// handlers counts the handlers that run. The zero value is ready.
type handlers struct {
	mu      sync.Mutex // guards all below
	running map[string]int
	idle    chan struct{} // closed when none runs any more; nil unless somebody waits for that
}

// interceptors returns the options that have handlers counted. They are the innermost, so that the
// user's own options are as they would be without them.
func (h *handlers) interceptors() []ttrpc.ServerOpt {
	return []ttrpc.ServerOpt{
		ttrpc.WithChainUnaryServerInterceptor(func(
			ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method,
		) (any, error) {
			h.begin(info.FullMethod)
			defer h.finish(info.FullMethod)
			return method(ctx, unmarshal)
		}),
		ttrpc.WithChainStreamServerInterceptor(func(
			ctx context.Context, stream ttrpc.StreamServer, info *ttrpc.StreamServerInfo, handler ttrpc.StreamHandler,
		) (any, error) {
			h.begin(info.FullMethod)
			defer h.finish(info.FullMethod)
			return handler(ctx, stream)
		}),
	}
}

func (h *handlers) begin(method string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		h.running = make(map[string]int)
	}
	h.running[method]++
}

func (h *handlers) finish(method string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running[method]--; h.running[method] == 0 {
		delete(h.running, method)
	}
	if len(h.running) == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// wait waits until no handler runs. Its error names those that run when ctx ends.
func (h *handlers) wait(ctx context.Context) error {
	h.mu.Lock()
	if len(h.running) == 0 {
		h.mu.Unlock()
		return nil
	}
	if h.idle == nil {
		h.idle = make(chan struct{})
	}
	idle := h.idle
	h.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var left stillRunning
	for method := range h.running {
		left = append(left, method)
	}
	return left
}
