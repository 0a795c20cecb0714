package walk

import (
	"context"
	"time"
)

// stubs is the service as the steps call it, without the message types of either kind.
// google.go and gogo.go say it in terms of their generated clients.
type stubs interface {
	create(ctx context.Context, id string, runs time.Duration, spec []byte) (created, error)
	wait(ctx context.Context, id string) (exitStatus uint32, err error)
	kill(ctx context.Context, id string) error
	logs(ctx context.Context, id string, n uint32) ([]byte, error)
	events(ctx context.Context, id string) (eventStream, error)
	imports(ctx context.Context) (importStream, error)
	attach(ctx context.Context) (attachStream, error)
	shutdown(ctx context.Context) error
}

// created is what Create answers.
type created struct {
	pid       uint32
	namespace string
	specBytes uint32
	peerUID   int64
}

// eventStream is server streaming: next returns io.EOF after the last event.
type eventStream interface {
	next() (event, error)
}

// event is an envelope with its Any unpacked: typed is a message of the stubs' own kind.
type event struct {
	topic string
	typed any
	text  string // the typed message for people
}

// importStream is client streaming.
type importStream interface {
	send(piece []byte) error
	done() (size uint64, digest string, err error)
}

// attachStream goes both ways: recv returns io.EOF once the server has answered all.
type attachStream interface {
	send(line string) error
	recv() (string, error)
	closeSend() error
}
