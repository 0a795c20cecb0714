package grpcttrpc_test

import (
	"context"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
)

type (
	outputServer = grpc_testing.TestService_StreamingOutputCallServer
	inputServer  = grpc_testing.TestService_StreamingInputCallServer
	fullServer   = grpc_testing.TestService_FullDuplexCallServer
)

func out(n int) *grpc_testing.StreamingOutputCallResponse {
	return &grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: make([]byte, n)}}
}

func in(n int) *grpc_testing.StreamingInputCallRequest {
	return &grpc_testing.StreamingInputCallRequest{Payload: &grpc_testing.Payload{Body: make([]byte, n)}}
}

func sum(n int32) *grpc_testing.StreamingInputCallResponse {
	return &grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: n}
}

func asks(n int) *grpc_testing.StreamingOutputCallRequest {
	return &grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: make([]byte, n)}}
}

// sends makes the service one that sends messages of 0 to n-1 bytes and returns an error.
func sends(n int, err error) func(*wire, *service) {
	return func(_ *wire, s *service) {
		s.output = func(_ *grpc_testing.StreamingOutputCallRequest, stream outputServer) error {
			for i := range n {
				if err := stream.Send(out(i)); err != nil {
					return err
				}
			}
			return err
		}
	}
}

// takes logs what a server sends, and the end, which is asked for again.
func takes(w *wire, recv func() (*grpc_testing.StreamingOutputCallResponse, error)) {
	for range 100 {
		m, err := recv()
		if err != nil {
			w.say("%s", full(err))
			_, err = recv()
			w.say("%s", outcome(err))
			return
		}
		w.say("%d", len(m.GetPayload().GetBody()))
	}
}

// takesOutput calls the server-streaming method and logs what comes.
func takesOutput(w *wire) {
	stream, err := w.client.StreamingOutputCall(bg, asks(1))
	check(w, err)
	takes(w, stream.Recv)
	w.say("%v", stream.Context().Err())
	w.say("closing again: %v", stream.CloseSend())
}

// inputEnds has the method that takes a stream of messages handled by end.
func inputEnds(end func(stream inputServer) error) func(*wire, *service) {
	return func(_ *wire, s *service) { s.input = end }
}

func TestServerStreams(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"messages":           {serve: sends(3, nil), run: takesOutput},
		"no message":         {serve: sends(0, nil), run: takesOutput},
		"messages, an error": {serve: sends(3, withDetails()), run: takesOutput},
		"an error at once":   {serve: sends(0, errTest), run: takesOutput},
		"EOF of the handler": {serve: sends(1, io.EOF), run: takesOutput},
		"an unmade method":   {serve: func(*wire, *service) {}, run: func(w *wire) { takesHalf(w) }},
		"too large a message": {serve: func(w *wire, s *service) {
			s.output = func(_ *grpc_testing.StreamingOutputCallRequest, stream outputServer) error {
				_ = stream.Send(out(1))
				_ = stream.Send(out(5 << 20))
				return nil
			}
		}, run: func(w *wire) {
			stream, err := w.client.StreamingOutputCall(bg, asks(1))
			check(w, err)
			_, err = stream.Recv()
			w.say("%s", outcome(err))
			_, err = stream.Recv()
			w.say("%s", outcome(err))
		}},
		"a limit of the call": {serve: sends(10, nil), run: func(w *wire) {
			stream, err := w.client.StreamingOutputCall(bg, asks(1), grpc.MaxCallRecvMsgSize(7))
			check(w, err)
			for range 5 {
				_, err = stream.Recv()
				w.say("%s", outcome(err))
			}
		}},
		"the request is received once": {serve: func(w *wire, s *service) {
			s.output = func(in *grpc_testing.StreamingOutputCallRequest, stream outputServer) error {
				w.tell("%d", len(in.GetPayload().GetBody()))
				w.tell("%s", outcome(stream.RecvMsg(in)))
				return nil
			}
		}, run: takesOutput},
		"sending twice": {serve: sends(0, nil), run: func(w *wire) {
			stream, err := w.conn.NewStream(bg, &grpc.StreamDesc{ServerStreams: true}, grpc_testing.TestService_StreamingOutputCall_FullMethodName)
			check(w, err)
			w.say("%s", outcome(stream.SendMsg(asks(1))))
			w.say("%s", outcome(stream.SendMsg(asks(1))))
		}},
		"sending nothing": {serve: sends(0, nil), run: func(w *wire) {
			stream, err := w.conn.NewStream(bg, &grpc.StreamDesc{ServerStreams: true}, grpc_testing.TestService_StreamingOutputCall_FullMethodName)
			check(w, err)
			w.say("%s", outcome(stream.CloseSend()))
			w.say("%s", outcome(stream.RecvMsg(out(1))))
		}},
		"receiving before sending": {serve: sends(1, nil), run: func(w *wire) {
			stream, err := w.conn.NewStream(bg, &grpc.StreamDesc{ServerStreams: true}, grpc_testing.TestService_StreamingOutputCall_FullMethodName)
			check(w, err)
			received := make(chan error, 1)
			go func() { received <- stream.RecvMsg(out(1)) }()
			w.say("%s", outcome(stream.SendMsg(asks(1))))
			w.say("%s", outcome(wait(w, received)))
		}},
		"cancelled before sending": {serve: sends(1, nil), run: func(w *wire) {
			ctx, cancel := context.WithCancel(bg)
			stream, err := w.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, grpc_testing.TestService_StreamingOutputCall_FullMethodName)
			check(w, err)
			cancel()
			w.say("%s", outcome(stream.RecvMsg(out(1))))
		}},
	})
}

// takesHalf calls a method that the service has not made.
func takesHalf(w *wire) {
	stream, err := w.client.HalfDuplexCall(bg)
	check(w, err)
	_, err = stream.Recv()
	w.say("%s", full(err))
}

func TestClientStreams(t *testing.T) {
	adds := func(w *wire, s *service) {
		s.input = func(stream inputServer) error {
			total := 0
			for {
				m, err := stream.Recv()
				if err == io.EOF {
					_, err = stream.Recv()
					w.tell("the handler has received %d bytes, %s", total, outcome(err))
					return stream.SendAndClose(sum(int32(total)))
				}
				if err != nil {
					return err
				}
				total += len(m.GetPayload().GetBody())
			}
		}
	}
	run := func(w *wire) {
		stream, err := w.client.StreamingInputCall(bg)
		check(w, err)
		m, err := stream.CloseAndRecv()
		w.say("%s %d", full(err), m.GetAggregatedPayloadSize())
		w.say("%s", outcome(stream.RecvMsg(m)))
	}
	code := func(w *wire) {
		stream, err := w.client.StreamingInputCall(bg)
		check(w, err)
		_, err = stream.CloseAndRecv()
		w.say("%s", outcome(err))
	}
	runScenarios(t, map[string]scenario{
		"messages": {serve: adds, run: func(w *wire) {
			stream, err := w.client.StreamingInputCall(bg)
			check(w, err)
			for i := range 10 {
				w.say("%s", outcome(stream.Send(in(i))))
			}
			m, err := stream.CloseAndRecv()
			w.say("%s %d", outcome(err), m.GetAggregatedPayloadSize())
			w.say("%s", outcome(stream.RecvMsg(m)))
			w.say("%s", outcome(stream.CloseSend()))
			w.say("%v", stream.Context().Err())
		}},
		"no message":    {serve: adds, run: run},
		"answers early": {serve: inputEnds(func(stream inputServer) error { return stream.SendAndClose(sum(7)) }), run: run},
		"fails early":   {serve: inputEnds(func(inputServer) error { return withDetails() }), run: run},
		"answers and fails": {serve: inputEnds(func(stream inputServer) error {
			if err := stream.SendAndClose(sum(7)); err != nil {
				return err
			}
			return withDetails()
		}), run: func(w *wire) {
			stream, err := w.client.StreamingInputCall(bg)
			check(w, err)
			_, err = stream.CloseAndRecv()
			w.say("%s", full(err))
		}},
		"answers nothing": {serve: inputEnds(func(inputServer) error { return nil }), run: code},
		"answers twice": {serve: inputEnds(func(stream inputServer) error {
			_ = stream.SendMsg(sum(1))
			_ = stream.SendMsg(sum(2))
			return nil
		}), run: code},
		"sends until it is over": {serve: inputEnds(func(inputServer) error { return errTest }), run: func(w *wire) {
			stream, err := w.client.StreamingInputCall(bg)
			check(w, err)
			for err = stream.Send(in(1)); err == nil; {
				err = stream.Send(in(1))
			}
			w.say("%s", outcome(err))
			w.say("%s", outcome(stream.Send(in(1))))
			_, err = stream.CloseAndRecv()
			w.say("%s", full(err))
		}},
		"sends after closing": {serve: adds, run: func(w *wire) {
			stream, err := w.client.StreamingInputCall(bg)
			check(w, err)
			w.say("%s", outcome(stream.CloseSend()))
			w.say("%s", outcome(stream.CloseSend()))
			m := sum(0)
			w.say("%s", outcome(stream.RecvMsg(m)))
			w.say("%s", outcome(stream.Send(in(1))))
		}},
		"too large a message": {serve: adds, run: func(w *wire) {
			stream, err := w.client.StreamingInputCall(bg, grpc.MaxCallSendMsgSize(100))
			check(w, err)
			w.say("%s", outcome(stream.Send(in(10))))
			w.say("%s", outcome(stream.Send(in(100))))
			_, err = stream.CloseAndRecv()
			w.say("%s", outcome(err))
		}},
		"no message at all": {serve: adds, run: func(w *wire) {
			stream, err := w.client.StreamingInputCall(bg)
			check(w, err)
			w.say("%s", outcome(stream.SendMsg("text")))
		}},
		"a codec": {serve: adds, run: func(w *wire) {
			stream, err := w.client.StreamingInputCall(bg, forced(w))
			check(w, err)
			w.say("%s", outcome(stream.Send(in(10))))
			m, err := stream.CloseAndRecv()
			w.say("%s %d", outcome(err), m.GetAggregatedPayloadSize())
		}},
	})
}
