package google

import (
	"context"
	"errors"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/shadow"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/shadow/c"
	contextpb "github.com/containerd/ttrpc/interop/stubs/gen/go/shadow/context"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/shadow/ctx"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/shadow/m"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/shadow/req"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/shadow/stream"
	ttrpcpb "github.com/containerd/ttrpc/interop/stubs/gen/go/shadow/ttrpc"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/shadow/x"
)

// shadows has a method of each kind; what matters is that the generated code compiles.
type shadows struct {
	shadow.UnimplementedShadowService
}

func (shadows) AskReq(_ context.Context, in *req.Message) (*req.Message, error) { return in, nil }

func (shadows) AskC(_ context.Context, in *c.Message) (*c.Message, error) { return in, nil }

func (shadows) UpCtx(_ context.Context, in shadow.Shadow_UpCtxServer) (*ctx.Message, error) {
	return in.Recv()
}

func (shadows) DownStream(_ context.Context, in *stream.Message, out shadow.Shadow_DownStreamServer) error {
	return out.Send(in)
}

func (shadows) TalkX(_ context.Context, both shadow.Shadow_TalkXServer) error {
	in, err := both.Recv()
	return errors.Join(err, both.Send(in))
}

func (shadows) TalkM(_ context.Context, both shadow.Shadow_TalkMServer) error {
	in, err := both.Recv()
	return errors.Join(err, both.Send(in))
}

func TestShadowed(t *testing.T) {
	client := shadow.NewShadowClient(serve(t, func(s *ttrpc.Server) { shadow.RegisterShadowService(s, shadows{}) }))
	askReq, err := client.AskReq(limit(t), &req.Message{Text: "req"})
	must(t, err)
	askC, err := client.AskC(limit(t), &c.Message{Text: "c"})
	must(t, err)
	up, err := client.UpCtx(limit(t))
	must(t, err)
	must(t, up.Send(&ctx.Message{Text: "ctx"}))
	upCtx, err := up.CloseAndRecv()
	must(t, err)
	down, err := client.DownStream(limit(t), &stream.Message{Text: "stream"})
	must(t, err)
	downStream, err := down.Recv()
	must(t, err)
	talkX, err := client.TalkX(limit(t))
	must(t, err)
	must(t, talkX.Send(&x.Message{Text: "x"}))
	inX, err := talkX.Recv()
	must(t, err)
	talkM, err := client.TalkM(limit(t))
	must(t, err)
	must(t, talkM.Send(&m.Message{Text: "m"}))
	inM, err := talkM.Recv()
	must(t, err)
	if got := askReq.Text + askC.Text + upCtx.Text + downStream.Text + inX.Text + inM.Text; got != "reqcctxstreamxm" {
		t.Error(got)
	}
}

type inContext struct{ contextpb.SelfService }

func (inContext) Ask(_ context.Context, in *contextpb.Message) (*contextpb.Message, error) {
	return in, nil
}

type inTTRPC struct{ ttrpcpb.SelfService }

func (inTTRPC) Ask(_ context.Context, in *ttrpcpb.Message) (*ttrpcpb.Message, error) { return in, nil }

// TestInside calls services whose own packages are called context and ttrpc.
func TestInside(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) {
		contextpb.RegisterSelfService(s, inContext{})
		ttrpcpb.RegisterSelfService(s, inTTRPC{})
	})
	one, err := contextpb.NewSelfClient(client).Ask(limit(t), &contextpb.Message{Text: "one"})
	must(t, err)
	two, err := ttrpcpb.NewSelfClient(client).Ask(limit(t), &ttrpcpb.Message{Text: "two"})
	must(t, err)
	if one.Text != "one" || two.Text != "two" {
		t.Error(one, two)
	}
}
