//go:build linux && original

package main

import (
	"context"
	"net"
	"strings"

	"github.com/containerd/ttrpc"
)

// This is current.go for a release of the original, in its place. It can do less: a stale socket is
// not replaced, nothing is logged, and events end with the first connection to containerd.

func listen(path string) (net.Listener, error) { return net.Listen("unix", path) }

func serverOptions(shimLog) []ttrpc.ServerOpt { return nil }

func dial(address string) (*ttrpc.Client, error) {
	conn, err := net.Dial("unix", strings.TrimPrefix(address, "unix://"))
	if err != nil {
		return nil, err
	}
	return ttrpc.NewClient(conn), nil
}

// registerV3 writes the table that the generated code for v2 has: nothing gives it back.
func registerV3(srv *ttrpc.Server, svc *service) {
	srv.RegisterService(taskV3, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"State":      method(svc.State),
		"Create":     method(svc.Create),
		"Start":      method(svc.Start),
		"Delete":     method(svc.Delete),
		"Pids":       method(svc.Pids),
		"Pause":      method(svc.Pause),
		"Resume":     method(svc.Resume),
		"Checkpoint": method(svc.Checkpoint),
		"Kill":       method(svc.Kill),
		"Exec":       method(svc.Exec),
		"ResizePty":  method(svc.ResizePty),
		"CloseIO":    method(svc.CloseIO),
		"Update":     method(svc.Update),
		"Wait":       method(svc.Wait),
		"Stats":      method(svc.Stats),
		"Connect":    method(svc.Connect),
		"Shutdown":   method(svc.Shutdown),
	}})
}

func method[Req, Resp any](f func(context.Context, *Req) (*Resp, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		var req Req
		if err := unmarshal(&req); err != nil {
			return nil, err
		}
		return f(ctx, &req)
	}
}
