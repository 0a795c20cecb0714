//go:build linux

package main

import (
	"context"
	"errors"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// wire gives an error the code that containerd goes by: it takes a task that is not found for
// deleted, and treats one that has not ended as such. Any other stays as it is.
func wire(err error) error {
	code := codes.Unknown
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotFound), errors.Is(err, errFinished):
		code = codes.NotFound
	case errors.Is(err, errExists):
		code = codes.AlreadyExists
	case errors.Is(err, errState):
		code = codes.FailedPrecondition
	case errors.Is(err, errUnsupported):
		code = codes.Unimplemented
	}
	return status.Error(code, err.Error())
}

// unsupported has the methods of the task service that plain processes have nothing for.
type unsupported struct{}

func (unsupported) Pause(context.Context, *task.PauseRequest) (*emptypb.Empty, error) {
	return nil, wire(errUnsupported)
}

func (unsupported) Resume(context.Context, *task.ResumeRequest) (*emptypb.Empty, error) {
	return nil, wire(errUnsupported)
}

func (unsupported) Checkpoint(context.Context, *task.CheckpointTaskRequest) (*emptypb.Empty, error) {
	return nil, wire(errUnsupported)
}

func (unsupported) ResizePty(context.Context, *task.ResizePtyRequest) (*emptypb.Empty, error) {
	return nil, wire(errUnsupported)
}

func (unsupported) Update(context.Context, *task.UpdateTaskRequest) (*emptypb.Empty, error) {
	return nil, wire(errUnsupported)
}

func (unsupported) Stats(context.Context, *task.StatsRequest) (*task.StatsResponse, error) {
	return nil, wire(errUnsupported)
}
