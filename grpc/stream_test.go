package grpcttrpc_test

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
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
	ends := func(end func(stream inputServer) error) func(*wire, *service) {
		return func(w *wire, s *service) { s.input = end }
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
		"answers early": {serve: ends(func(stream inputServer) error { return stream.SendAndClose(sum(7)) }), run: run},
		"fails early":   {serve: ends(func(inputServer) error { return withDetails() }), run: run},
		"answers and fails": {serve: ends(func(stream inputServer) error {
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
		"answers nothing": {serve: ends(func(inputServer) error { return nil }), run: code},
		"answers twice": {serve: ends(func(stream inputServer) error {
			_ = stream.SendMsg(sum(1))
			_ = stream.SendMsg(sum(2))
			return nil
		}), run: code},
		"sends until it is over": {serve: ends(func(inputServer) error { return errTest }), run: func(w *wire) {
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

func TestBothStream(t *testing.T) {
	echoes := func(_ *wire, s *service) {
		s.full = func(stream fullServer) error {
			for {
				m, err := stream.Recv()
				if err != nil {
					if err == io.EOF {
						err = nil
					}
					return err
				}
				if err := stream.Send(out(len(m.GetPayload().GetBody()))); err != nil {
					return err
				}
			}
		}
	}
	ends := func(err error) func(*wire, *service) {
		return func(_ *wire, s *service) { s.full = func(fullServer) error { return err } }
	}
	after := func(act func(w *wire, cancel func())) func(*wire) { // one message each way
		return func(w *wire) {
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			stream, err := w.client.FullDuplexCall(ctx)
			check(w, err)
			check(w, stream.Send(asks(1)))
			_, err = stream.Recv()
			check(w, err)
			act(w, cancel)
			_, err = stream.Recv()
			w.say("%s", outcome(err))
			w.say("%s", outcome(stream.Send(asks(1))))
			_, err = stream.Recv()
			w.say("%s", outcome(err))
		}
	}
	runScenarios(t, map[string]scenario{
		"ping pong": {serve: echoes, run: func(w *wire) {
			stream, err := w.client.FullDuplexCall(bg)
			check(w, err)
			for i := range 10 {
				w.say("%s", outcome(stream.Send(asks(i*1000))))
				m, err := stream.Recv()
				w.say("%s %d", outcome(err), len(m.GetPayload().GetBody()))
			}
			w.say("%s", outcome(stream.CloseSend()))
			takes(w, stream.Recv)
		}},
		"the server ends": {serve: ends(nil), run: func(w *wire) {
			stream, err := w.client.FullDuplexCall(bg)
			check(w, err)
			takes(w, stream.Recv)
			w.say("%s", outcome(stream.Send(asks(1))))
			w.say("%s", outcome(stream.CloseSend()))
		}},
		"the server fails": {serve: ends(withDetails()), run: func(w *wire) {
			stream, err := w.client.FullDuplexCall(bg)
			check(w, err)
			_, err = stream.Recv()
			w.say("%s", full(err))
			w.say("%s", outcome(stream.Send(asks(1))))
			_, err = stream.Recv()
			w.say("%s", full(err))
		}},
		"the client cancels": {serve: echoes, run: after(func(_ *wire, cancel func()) { cancel() })},
		"the server closes":  {serve: echoes, run: after(func(w *wire, _ func()) { w.closeServer() })},
		"the client closes": {serve: echoes, run: after(func(w *wire, _ func()) { w.closeClient() }), differs: &difference{
			grpc:  []string{"Canceled", "EOF", "Canceled"}, // "the client connection is closing"
			ttrpc: []string{"Unavailable", "EOF", "Unavailable"},
		}},
		"calls after the server has closed": {serve: echoes, run: func(w *wire) {
			after(func(w *wire, _ func()) { w.closeServer() })(w)
			_, err := w.client.UnaryCall(bg, request(1))
			w.say("%s", outcome(err))
			_, err = w.client.FullDuplexCall(bg)
			w.say("%s", outcome(err))
		}},
		"what a handler sees of a connection that goes": {serve: func(w *wire, s *service) {
			w.began = make(chan struct{})
			s.full = func(stream fullServer) error {
				m, err := stream.Recv()
				w.tell("%d %s", len(m.GetPayload().GetBody()), outcome(err))
				check(w, stream.Send(out(1)))
				_, err = stream.Recv()
				w.tell("%s", outcome(err))
				w.tell("%v", stream.Context().Err())
				close(w.began)
				return err
			}
		}, run: func(w *wire) {
			stream, err := w.client.FullDuplexCall(bg)
			check(w, err)
			check(w, stream.Send(asks(1)))
			_, err = stream.Recv()
			check(w, err)
			w.closeClient()
			wait(w, w.began)
		}},
		"deadline": {serve: func(w *wire, s *service) {
			s.full = func(stream fullServer) error {
				if _, ok := stream.Context().Deadline(); !ok {
					w.Error("the handler has no deadline")
				}
				_, err := stream.Recv()
				return err
			}
		}, run: func(w *wire) {
			ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
			defer cancel()
			stream, err := w.client.FullDuplexCall(ctx)
			if err == nil { // or it has ended before the stream could begin
				_, err = stream.Recv()
			}
			w.say("%s", outcome(err))
		}},
		"what a handler finds": {serve: func(w *wire, s *service) {
			s.full = func(stream fullServer) error {
				ctx := stream.Context()
				method, ok := grpc.Method(ctx)
				w.tell("%s %v", method, ok)
				method, ok = grpc.MethodFromServerStream(stream)
				w.tell("%s %v", method, ok)
				p, ok := peer.FromContext(ctx)
				w.tell("%v %s %s", ok, p.Addr.Network(), p.AuthInfo.AuthType())
				md, ok := metadata.FromIncomingContext(ctx)
				w.tell("%v %s", ok, seen(md))
				_, ok = ctx.Deadline()
				w.tell("%v", ok)
				return nil
			}
		}, run: func(w *wire) {
			stream, err := w.client.FullDuplexCall(metadata.AppendToOutgoingContext(bg, "k", "v", "b-bin", "\x00"))
			check(w, err)
			_, err = stream.Recv()
			w.say("%s", outcome(err))
			p, ok := peer.FromContext(stream.Context())
			w.say("%v %s", ok, p.Addr.Network())
		}},
		"headers and trailers": {serve: func(w *wire, s *service) {
			s.full = func(stream fullServer) error {
				w.tell("%s", outcome(stream.SetHeader(nil)))
				w.tell("%s", outcome(stream.SetHeader(metadata.Pairs("k", "header"))))
				w.tell("%s", outcome(stream.SendHeader(nil)))
				stream.SetTrailer(metadata.Pairs("k", "trailer"))
				return nil
			}
		}, run: func(w *wire) {
			stream, err := w.client.FullDuplexCall(bg)
			check(w, err)
			_, err = stream.Recv()
			header, headerErr := stream.Header()
			w.say("%s %s %v %v", outcome(err), outcome(headerErr), header["k"], stream.Trailer()["k"])
		}, differs: &difference{
			grpc:  []string{"EOF ok [header] [trailer]", "ok", "ok", "ok"},
			ttrpc: []string{"EOF ok [] []", "ok", "Unimplemented", "ok"},
		}},
		"OnFinish": {serve: echoes, run: func(w *wire) {
			finished := make(chan error, 3)
			opt := grpc.OnFinish(func(err error) { finished <- err })
			ctx, cancel := context.WithCancel(bg)
			stream, err := w.client.FullDuplexCall(ctx, opt)
			check(w, err)
			check(w, stream.CloseSend())
			_, err = stream.Recv()
			w.say("%s, and %s is told", outcome(err), outcome(wait(w, finished)))
			_, err = w.client.FullDuplexCall(ctx, opt)
			check(w, err)
			cancel()
			w.say("%s is told", outcome(wait(w, finished)))
			_, err = w.client.FullDuplexCall(ctx, opt)
			w.say("%s, and %s is told", outcome(err), outcome(wait(w, finished)))
			w.say("%d", len(finished))
		}},
		"a refusal of the options": {serve: echoes, run: func(w *wire) {
			ctx := metadata.AppendToOutgoingContext(bg, "k", "\n")
			_, err := w.client.FullDuplexCall(ctx)
			w.say("%s", outcome(err))
			_, err = w.client.StreamingOutputCall(bg, asks(1), grpc.MaxCallSendMsgSize(1))
			w.say("%s", outcome(err))
			_, err = w.client.FullDuplexCall(bg, grpc.PerRPCCredentials(&perCall{err: status.Error(codes.PermissionDenied, ""), w: w}))
			w.say("%s", outcome(err))
		}},
	})
}
