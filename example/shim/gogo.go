package shim

import (
	"context"

	"github.com/containerd/typeurl"
	"github.com/pkg/errors"

	"github.com/containerd/ttrpc/example/gogotasks"
)

// gogoTasks serves gogo's stubs. google.go has the same for those of google.golang.org/protobuf.
type gogoTasks struct {
	gogotasks.UnimplementedTasksService // for the methods that the service is still to get

	core core
}

var _ gogotasks.TasksService = gogoTasks{}

func (s gogoTasks) Create(ctx context.Context, req *gogotasks.CreateRequest) (*gogotasks.CreateResponse, error) {
	t, err := s.core.create(ctx, req.Id, req.RunMillis)
	if err != nil {
		return nil, wire(err, req.Id)
	}
	return &gogotasks.CreateResponse{
		Pid: t.pid, Namespace: t.namespace, SpecBytes: uint32(len(req.Spec)), PeerUid: peerUID(ctx),
	}, nil
}

func (s gogoTasks) Wait(ctx context.Context, req *gogotasks.WaitRequest) (*gogotasks.WaitResponse, error) {
	exit, err := s.core.wait(ctx, req.Id)
	if err != nil {
		return nil, wire(err, req.Id)
	}
	return &gogotasks.WaitResponse{ExitStatus: exit}, nil
}

func (s gogoTasks) Kill(_ context.Context, req *gogotasks.KillRequest) (*gogotasks.KillResponse, error) {
	if err := s.core.kill(req.Id); err != nil {
		return nil, wire(err, req.Id)
	}
	return &gogotasks.KillResponse{}, nil
}

func (s gogoTasks) Logs(_ context.Context, req *gogotasks.LogsRequest) (*gogotasks.LogsResponse, error) {
	data, err := s.core.logs(req.Id, req.Bytes)
	if err != nil {
		return nil, wire(err, req.Id)
	}
	return &gogotasks.LogsResponse{Data: data}, nil
}

func (s gogoTasks) Events(ctx context.Context, req *gogotasks.EventsRequest, stream gogotasks.Tasks_EventsServer) error {
	err := s.core.follow(ctx, req.Id, func(e event) error {
		packed, err := typeurl.MarshalAny(gogoEvent(e))
		if err != nil {
			return errors.Wrap(err, e.topic)
		}
		return stream.Send(&gogotasks.Envelope{Topic: e.topic, Event: packed})
	})
	return wire(err, req.Id)
}

// gogoEvent is the event as its typed message.
func gogoEvent(e event) any {
	switch e.topic {
	case topicCreate:
		return &gogotasks.TaskCreated{Id: e.id, Pid: e.pid, Namespace: e.namespace}
	case topicWait:
		return &gogotasks.TaskAwaited{Id: e.id}
	case topicGiveUp:
		return &gogotasks.TaskGivenUp{Id: e.id, Why: e.why}
	default:
		return &gogotasks.TaskExited{Id: e.id, Pid: e.pid, ExitStatus: e.exitStatus}
	}
}

func (s gogoTasks) Import(_ context.Context, stream gogotasks.Tasks_ImportServer) (*gogotasks.ImportResponse, error) {
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
	return &gogotasks.ImportResponse{Total: size, Sha256: digest}, nil
}

func (s gogoTasks) Attach(_ context.Context, stream gogotasks.Tasks_AttachServer) error {
	return s.core.attach(func() (string, error) {
		in, err := stream.Recv()
		if err != nil {
			return "", err
		}
		return in.Line, nil
	}, func(line string) error {
		return stream.Send(&gogotasks.Output{Line: line})
	})
}

func (s gogoTasks) Shutdown(context.Context, *gogotasks.ShutdownRequest) (*gogotasks.ShutdownResponse, error) {
	s.core.stop()
	return &gogotasks.ShutdownResponse{}, nil
}
