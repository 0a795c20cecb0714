// Package debug has a service that tells what a server is about: its connections, and the calls in
// flight on them. `ttrpc top` shows it.
//
// Whoever can connect sees the names of all methods that run, and who has called them.
package debug

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// The method's request is a google.protobuf.Empty, and its answer a google.protobuf.StringValue
// with the snapshot as JSON, which may have more in later versions.
const (
	serviceName = "ttrpc.debug.v1.Debug"
	methodName  = "Snapshot"
)

// Register adds the service to s, which is the server that it tells of. It panics when s has it
// already.
func Register(s *ttrpc.Server) {
	s.Register(serviceName, map[string]ttrpc.Method{
		methodName: func(_ context.Context, unmarshal func(any) error) (any, error) {
			if err := unmarshal(new(emptypb.Empty)); err != nil {
				return nil, err
			}
			text, err := json.Marshal(s.Snapshot())
			if err != nil {
				return nil, fmt.Errorf("debug: snapshot: %w", err)
			}
			return wrapperspb.String(string(text)), nil
		},
	})
}

// Snapshot asks a server what it is about; the call that asks is among its calls. The error is that
// of the call: it has the code Unimplemented where the server does not have the service.
func Snapshot(ctx context.Context, client *ttrpc.Client) (*ttrpc.Snapshot, error) {
	answer := new(wrapperspb.StringValue)
	if err := client.Call(ctx, serviceName, methodName, new(emptypb.Empty), answer); err != nil {
		return nil, err
	}
	snapshot := new(ttrpc.Snapshot)
	if err := json.Unmarshal([]byte(answer.GetValue()), snapshot); err != nil {
		return nil, fmt.Errorf("debug: the server's snapshot: %w", err)
	}
	return snapshot, nil
}
