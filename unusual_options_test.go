//go:build go1.25

package ttrpc_test

// What stands here uses options that other releases have not.

import (
	"context"
	"testing"

	"github.com/containerd/ttrpc"
)

// A stream's interceptor runs for streams that were added too.
func TestStreamsAddedAreIntercepted(t *testing.T) {
	ran := make(chan string, 10)
	server, err := ttrpc.NewServer(ttrpc.WithStreamServerInterceptor(
		func(ctx context.Context, ss ttrpc.StreamServer, info *ttrpc.StreamServerInfo, h ttrpc.StreamHandler) (any, error) {
			ran <- info.FullMethod
			return h(ctx, ss)
		}))
	uxCheck(t, err)
	streams := map[string]ttrpc.Stream{}
	server.RegisterService(uxService, &ttrpc.ServiceDesc{Streams: streams})
	client := uxPipeClient(t, server)
	streams["added"] = uxSayingStream("1")
	uxWantStream(t, client, "added", "1")
	select {
	case got := <-ran:
		if got != "/"+uxService+"/added" {
			t.Error(got)
		}
	default:
		t.Error("the interceptor has not run")
	}
}
