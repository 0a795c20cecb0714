package shim

import (
	"context"

	"github.com/containerd/typeurl/v2"
	"github.com/pkg/errors"

	"github.com/containerd/ttrpc/example/tasks"
)

// googleTasks serves the stubs of google.golang.org/protobuf. gogo.go has the same for gogo's:
// what differs is the package of the messages, and which typeurl packs an event.
type googleTasks struct {
	tasks.UnimplementedTasksService // for the methods that the service is still to get

	core core
}

var _ tasks.TasksService = googleTasks{}

func (s googleTasks) Create(ctx context.Context, req *tasks.CreateRequest) (*tasks.CreateResponse, error) {
	t, err := s.core.create(ctx, req.Id, req.RunMillis)
	if err != nil {
		return nil, wire(err, req.Id)
	}
	return &tasks.CreateResponse{
		Pid: t.pid, Namespace: t.namespace, SpecBytes: uint32(len(req.Spec)), PeerUid: peerUID(ctx),
	}, nil
}

func (s googleTasks) Wait(ctx context.Context, req *tasks.WaitRequest) (*tasks.WaitResponse, error) {
	exit, err := s.core.wait(ctx, req.Id)
	if err != nil {
		return nil, wire(err, req.Id)
	}
	return &tasks.WaitResponse{ExitStatus: exit}, nil
}

func (s googleTasks) Kill(_ context.Context, req *tasks.KillRequest) (*tasks.KillResponse, error) {
	if err := s.core.kill(req.Id); err != nil {
		return nil, wire(err, req.Id)
	}
	return &tasks.KillResponse{}, nil
}

func (s googleTasks) Logs(_ context.Context, req *tasks.LogsRequest) (*tasks.LogsResponse, error) {
	data, err := s.core.logs(req.Id, req.Bytes)
	if err != nil {
		return nil, wire(err, req.Id)
	}
	return &tasks.LogsResponse{Data: data}, nil
}

func (s googleTasks) Events(ctx context.Context, req *tasks.EventsRequest, stream tasks.Tasks_EventsServer) error {
	err := s.core.follow(ctx, req.Id, func(e event) error {
		packed, err := typeurl.MarshalAnyToProto(googleEvent(e))
		if err != nil {
			return errors.Wrap(err, e.topic)
		}
		return stream.Send(&tasks.Envelope{Topic: e.topic, Event: packed})
	})
	return wire(err, req.Id)
}

// googleEvent is the event as its typed message.
func googleEvent(e event) any {
	switch e.topic {
	case topicCreate:
		return &tasks.TaskCreated{Id: e.id, Pid: e.pid, Namespace: e.namespace}
	case topicWait:
		return &tasks.TaskAwaited{Id: e.id}
	case topicGiveUp:
		return &tasks.TaskGivenUp{Id: e.id, Why: e.why}
	default:
		return &tasks.TaskExited{Id: e.id, Pid: e.pid, ExitStatus: e.exitStatus}
	}
}

func (s googleTasks) Import(_ context.Context, stream tasks.Tasks_ImportServer) (*tasks.ImportResponse, error) {
	size, digest, err := s.core.imports(func() ([]byte, error) {
		chunk, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return chunk.Data, nil
	})
	if err != nil {
		return nil, err
	}
	return &tasks.ImportResponse{Total: size, Sha256: digest}, nil
}

func (s googleTasks) Attach(_ context.Context, stream tasks.Tasks_AttachServer) error {
	return s.core.attach(func() (string, error) {
		in, err := stream.Recv()
		if err != nil {
			return "", err
		}
		return in.Line, nil
	}, func(line string) error {
		return stream.Send(&tasks.Output{Line: line})
	})
}

func (s googleTasks) Shutdown(context.Context, *tasks.ShutdownRequest) (*tasks.ShutdownResponse, error) {
	s.core.stop()
	return &tasks.ShutdownResponse{}, nil
}
