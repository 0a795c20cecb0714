package walk

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/typeurl"
	"github.com/pkg/errors"

	"github.com/containerd/ttrpc/example/gogotasks"
)

// gogoStubs calls through gogo's stubs. google.go has the same for those of
// google.golang.org/protobuf.
type gogoStubs struct{ client gogotasks.TasksClient }

func newGogoStubs(c *ttrpc.Client) stubs { return gogoStubs{gogotasks.NewTasksClient(c)} }

func (s gogoStubs) create(ctx context.Context, id string, runs time.Duration, spec []byte) (created, error) {
	got, err := s.client.Create(ctx, &gogotasks.CreateRequest{Id: id, RunMillis: uint32(runs.Milliseconds()), Spec: spec})
	if err != nil {
		return created{}, err
	}
	return created{pid: got.Pid, namespace: got.Namespace, specBytes: got.SpecBytes, peerUID: got.PeerUid}, nil
}

func (s gogoStubs) wait(ctx context.Context, id string) (uint32, error) {
	got, err := s.client.Wait(ctx, &gogotasks.WaitRequest{Id: id})
	if err != nil {
		return 0, err
	}
	return got.ExitStatus, nil
}

func (s gogoStubs) kill(ctx context.Context, id string) error {
	_, err := s.client.Kill(ctx, &gogotasks.KillRequest{Id: id})
	return err
}

func (s gogoStubs) logs(ctx context.Context, id string, n uint32) ([]byte, error) {
	got, err := s.client.Logs(ctx, &gogotasks.LogsRequest{Id: id, Bytes: n})
	if err != nil {
		return nil, err
	}
	return got.Data, nil
}

func (s gogoStubs) shutdown(ctx context.Context) error {
	_, err := s.client.Shutdown(ctx, &gogotasks.ShutdownRequest{})
	return err
}

func (s gogoStubs) events(ctx context.Context, id string) (eventStream, error) {
	stream, err := s.client.Events(ctx, &gogotasks.EventsRequest{Id: id})
	return gogoEvents{stream}, err
}

type gogoEvents struct{ stream gogotasks.Tasks_EventsClient }

func (s gogoEvents) next() (event, error) {
	envelope, err := s.stream.Recv()
	if err != nil {
		return event{}, err
	}
	typed, err := typeurl.UnmarshalAny(envelope.Event)
	if err != nil {
		return event{}, errors.Wrap(err, envelope.Topic)
	}
	return event{topic: envelope.Topic, typed: typed, text: gogoText(typed)}, nil
}

func gogoText(typed any) string {
	switch e := typed.(type) {
	case *gogotasks.TaskCreated:
		return fmt.Sprintf("TaskCreated{pid %d}", e.Pid)
	case *gogotasks.TaskAwaited:
		return "TaskAwaited{}"
	case *gogotasks.TaskGivenUp:
		return fmt.Sprintf("TaskGivenUp{%s}", e.Why)
	case *gogotasks.TaskExited:
		return fmt.Sprintf("TaskExited{status %d}", e.ExitStatus)
	}
	return fmt.Sprintf("unexpected %T", typed)
}

func (s gogoStubs) imports(ctx context.Context) (importStream, error) {
	stream, err := s.client.Import(ctx)
	return gogoImport{stream}, err
}

type gogoImport struct{ stream gogotasks.Tasks_ImportClient }

func (s gogoImport) send(piece []byte) error { return s.stream.Send(&gogotasks.Chunk{Data: piece}) }

func (s gogoImport) done() (uint64, string, error) {
	got, err := s.stream.CloseAndRecv()
	if err != nil {
		return 0, "", err
	}
	return got.Total, got.Sha256, nil
}

func (s gogoStubs) attach(ctx context.Context) (attachStream, error) {
	stream, err := s.client.Attach(ctx)
	return gogoAttach{stream}, err
}

type gogoAttach struct{ stream gogotasks.Tasks_AttachClient }

func (s gogoAttach) send(line string) error { return s.stream.Send(&gogotasks.Input{Line: line}) }

func (s gogoAttach) closeSend() error { return s.stream.CloseSend() }

func (s gogoAttach) recv() (string, error) {
	out, err := s.stream.Recv()
	if err != nil {
		return "", err
	}
	return out.Line, nil
}
