package main

import (
	"context"
	"errors"
	"io"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/containerd/ttrpc"
)

// streamCall is one call in which a side streams.
type streamCall struct {
	*callFlags
	peer   *peer
	md     protoreflect.MethodDescriptor
	in     *input
	out    *output
	stderr io.Writer
}

func (s *streamCall) name() string {
	return string(s.md.Parent().FullName()) + "/" + string(s.md.Name())
}

func (s *streamCall) run(ctx context.Context) error {
	limit := max(s.timeout, 0) // a stream goes on for ever unless the user says otherwise
	ctx, cancel := within(ctx, limit)
	defer cancel()
	stream, err := s.open(ctx)
	if err == nil {
		err = s.out.event("call", "method", quote(s.name()))
	}
	if err != nil {
		return s.fail(err)
	}
	sent := make(chan error, 1)
	if s.md.IsStreamingClient() {
		go func() { // it may wait for input for ever: the process ends without it
			err := s.send(stream)
			sent <- err
			if err != nil {
				cancel()
			}
		}()
	}
	enough, err := s.receive(stream)
	if errors.Is(err, context.Canceled) {
		select {
		case bad := <-sent: // why it was cancelled
			err = firstError(bad, err)
		default:
		}
	}
	if err != nil {
		return s.fail(err)
	}
	if enough {
		return s.out.event("stop", "", nil)
	}
	return s.out.event("end", "status", statusJSON(nil, nil))
}

// fail makes an exit code of what went wrong here or there.
func (s *streamCall) fail(err error) error {
	var usage usageError
	if errors.As(err, &usage) {
		return err
	}
	err = absent(err, string(s.md.Parent().FullName()), string(s.md.Name()))
	return s.out.failed(s.peer.explainAs(err, "ended the stream "+s.name(), max(s.timeout, 0)))
}

// open sends the request, which is the only message where the client does not stream.
func (s *streamCall) open(ctx context.Context) (ttrpc.ClientStream, error) {
	desc := &ttrpc.StreamDesc{StreamingClient: s.md.IsStreamingClient(), StreamingServer: s.md.IsStreamingServer()}
	var req any
	if !desc.StreamingClient {
		m, err := s.in.first(s.md.Input())
		if err != nil {
			return nil, err
		}
		req = m
	}
	return s.peer.client.NewStream(ctx, desc, string(s.md.Parent().FullName()), string(s.md.Name()), req)
}

// send sends the input, message by message.
func (s *streamCall) send(stream ttrpc.ClientStream) error {
	for {
		m, err := s.in.next(s.md.Input())
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(m); err != nil {
			return ignoreOver(err)
		}
	}
	if s.keepOpen {
		return nil
	}
	return ignoreOver(stream.CloseSend())
}

// ignoreOver leaves it to the receiver to tell why the stream is over.
func ignoreOver(err error) error {
	if errors.Is(err, ttrpc.ErrStreamClosed) || errors.Is(err, ttrpc.ErrClosed) {
		return nil
	}
	return err
}

// receive prints what comes, until the server ends the stream, or there is enough for -n.
func (s *streamCall) receive(stream ttrpc.ClientStream) (enough bool, err error) {
	if s.timeout == unset {
		timer := notice(s.stderr, s.peer.address, s.name())
		defer timer.Stop()
		return s.receiveAll(stream, func() { timer.Stop() })
	}
	return s.receiveAll(stream, func() {})
}

func (s *streamCall) receiveAll(stream ttrpc.ClientStream, came func()) (enough bool, err error) {
	for n := 1; ; n++ {
		m := dynamicpb.NewMessage(s.md.Output())
		err := stream.RecvMsg(m)
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		came()
		if err := s.out.message(m); err != nil {
			return false, err
		}
		if n == s.n || !s.md.IsStreamingServer() {
			return s.md.IsStreamingServer(), nil
		}
	}
}
