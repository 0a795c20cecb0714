package walk

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/typeurl/v2"
	"github.com/pkg/errors"

	"github.com/containerd/ttrpc/example/tasks"
)

// googleStubs calls through the stubs of google.golang.org/protobuf. gogo.go has the same for
// gogo's.
type googleStubs struct{ client tasks.TasksClient }

func newGoogleStubs(c *ttrpc.Client) stubs { return googleStubs{tasks.NewTasksClient(c)} }

func (s googleStubs) create(ctx context.Context, id string, runs time.Duration, spec []byte) (created, error) {
	got, err := s.client.Create(ctx, &tasks.CreateRequest{Id: id, RunMillis: uint32(runs.Milliseconds()), Spec: spec})
	if err != nil {
		return created{}, err
	}
	return created{pid: got.Pid, namespace: got.Namespace, specBytes: got.SpecBytes, peerUID: got.PeerUid}, nil
}

func (s googleStubs) wait(ctx context.Context, id string) (uint32, error) {
	got, err := s.client.Wait(ctx, &tasks.WaitRequest{Id: id})
	if err != nil {
		return 0, err
	}
	return got.ExitStatus, nil
}

func (s googleStubs) kill(ctx context.Context, id string) error {
	_, err := s.client.Kill(ctx, &tasks.KillRequest{Id: id})
	return err
}

func (s googleStubs) logs(ctx context.Context, id string, n uint32) ([]byte, error) {
	got, err := s.client.Logs(ctx, &tasks.LogsRequest{Id: id, Bytes: n})
	if err != nil {
		return nil, err
	}
	return got.Data, nil
}

func (s googleStubs) shutdown(ctx context.Context) error {
	_, err := s.client.Shutdown(ctx, &tasks.ShutdownRequest{})
	return err
}

func (s googleStubs) events(ctx context.Context, id string) (eventStream, error) {
	stream, err := s.client.Events(ctx, &tasks.EventsRequest{Id: id})
	return googleEvents{stream}, err
}

type googleEvents struct{ stream tasks.Tasks_EventsClient }

func (s googleEvents) next() (event, error) {
	envelope, err := s.stream.Recv()
	if err != nil {
		return event{}, err
	}
	typed, err := typeurl.UnmarshalAny(envelope.Event)
	if err != nil {
		return event{}, errors.Wrap(err, envelope.Topic)
	}
	return event{topic: envelope.Topic, typed: typed, text: googleText(typed)}, nil
}

func googleText(typed any) string {
	switch e := typed.(type) {
	case *tasks.TaskCreated:
		return fmt.Sprintf("TaskCreated{pid %d}", e.Pid)
	case *tasks.TaskAwaited:
		return "TaskAwaited{}"
	case *tasks.TaskGivenUp:
		return fmt.Sprintf("TaskGivenUp{%s}", e.Why)
	case *tasks.TaskExited:
		return fmt.Sprintf("TaskExited{status %d}", e.ExitStatus)
	}
	return fmt.Sprintf("unexpected %T", typed)
}

func (s googleStubs) imports(ctx context.Context) (importStream, error) {
	stream, err := s.client.Import(ctx)
	return googleImport{stream}, err
}

type googleImport struct{ stream tasks.Tasks_ImportClient }

func (s googleImport) send(piece []byte) error { return s.stream.Send(&tasks.Chunk{Data: piece}) }

func (s googleImport) done() (uint64, string, error) {
	got, err := s.stream.CloseAndRecv()
	if err != nil {
		return 0, "", err
	}
	return got.Total, got.Sha256, nil
}

func (s googleStubs) attach(ctx context.Context) (attachStream, error) {
	stream, err := s.client.Attach(ctx)
	return googleAttach{stream}, err
}

type googleAttach struct{ stream tasks.Tasks_AttachClient }

func (s googleAttach) send(line string) error { return s.stream.Send(&tasks.Input{Line: line}) }

func (s googleAttach) closeSend() error { return s.stream.CloseSend() }

func (s googleAttach) recv() (string, error) {
	out, err := s.stream.Recv()
	if err != nil {
		return "", err
	}
	return out.Line, nil
}
