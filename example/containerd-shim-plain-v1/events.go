//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	events "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// eventTimeout is how long one event waits for containerd, with all tries.
	eventTimeout = 5 * time.Second
	// maxTries is how many connections may end under one event.
	maxTries = 5
	// maxQueued is how many events may wait; more are dropped, and the log says so.
	maxQueued = 128
)

// publisher sends events to containerd, one after the other, as they came. send never waits.
type publisher struct {
	namespace string
	log       shimLog
	queue     chan *types.Envelope // nil is the end
	done      chan struct{}        // closed when run has ended
}

// newPublisher returns a publisher to containerd's ttrpc address. Where there is none, or it can't
// be used, events are dropped.
func newPublisher(namespace, address string, log shimLog) *publisher {
	p := &publisher{
		namespace: namespace,
		log:       log,
		queue:     make(chan *types.Envelope, maxQueued),
		done:      make(chan struct{}),
	}
	go p.run(address)
	return p
}

func (p *publisher) run(address string) {
	defer close(p.done)
	forward := func(context.Context, *events.ForwardRequest) error { return nil }
	if address != "" {
		client, err := dial(address)
		if err != nil {
			p.log.Warn("no events are published", "address", address, "error", err)
		} else {
			defer client.Close()
			service := events.NewTTRPCEventsClient(client)
			forward = func(ctx context.Context, req *events.ForwardRequest) error {
				_, err := service.Forward(ctx, req)
				return err
			}
		}
	}
	for envelope := <-p.queue; envelope != nil; envelope = <-p.queue {
		if err := deliver(forward, envelope); err != nil {
			p.log.Warn("an event is lost", "topic", envelope.Topic, "error", err)
		}
	}
}

// deliver sends one event. It tries again when the connection has ended meanwhile: containerd may
// get an event twice, as from all shims, and does not miss one.
func deliver(forward func(context.Context, *events.ForwardRequest) error, envelope *types.Envelope) error {
	ctx, cancel := context.WithTimeout(context.Background(), eventTimeout)
	defer cancel()
	var err error
	for range maxTries {
		err = forward(ctx, &events.ForwardRequest{Envelope: envelope})
		if !errors.Is(err, ttrpc.ErrClosed) {
			break
		}
	}
	return err
}

// send queues an event. The type's name has no prefix, as everywhere in containerd.
func (p *publisher) send(topic string, event proto.Message) {
	value, err := proto.Marshal(event)
	if err != nil {
		p.log.Warn("an event is lost", "topic", topic, "error", err)
		return
	}
	envelope := &types.Envelope{
		Timestamp: timestamppb.Now(),
		Namespace: p.namespace,
		Topic:     topic,
		Event:     &anypb.Any{TypeUrl: string(event.ProtoReflect().Descriptor().FullName()), Value: value},
	}
	select {
	case p.queue <- envelope:
	default:
		p.log.Warn("an event is lost: containerd is not there, and too many wait", "topic", topic)
	}
}

// close sends what is queued, until ctx ends. What send gets from then on is dropped.
func (p *publisher) close(ctx context.Context) {
	select {
	case p.queue <- nil:
	case <-ctx.Done():
		return
	}
	select {
	case <-p.done:
	case <-ctx.Done():
	}
}
