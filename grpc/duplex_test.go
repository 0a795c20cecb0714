package grpcttrpc_test

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

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
			ttrpc: []string{"Unimplemented ok [] []", "ok", "Unimplemented", "ok"},
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
