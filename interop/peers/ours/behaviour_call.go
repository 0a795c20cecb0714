package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// rawCall makes a bounded call with messages as given.
func rawCall(c *ttrpc.Client, method string, req, resp any) error {
	ctx, cancel := soon()
	defer cancel()
	return c.Call(ctx, "s", method, req, resp)
}

var callProbes = []probe{
	{name: "call/unknown", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
		defer w.close()
		c := w.client()
		defer c.Close()
		for _, n := range [][2]string{{"none", "echo"}, {"s", "none"}, {"", ""}, {"s", ""}, {"", "echo"}, {"S", "echo"}} {
			ctx, cancel := soon()
			r.say(fmt.Sprintf("%q %q", n[0], n[1]), c.Call(ctx, n[0], n[1], text("x"), text("")))
			cancel()
		}
		v, err := call(c, "echo", "still there")
		r.say("afterwards", v, err)
	}},
	{name: "call/context", run: func(r *report) {
		release := make(chan struct{})
		defer close(release)
		w := newWorld(methods(map[string]ttrpc.Method{"stuck": func(context.Context, func(any) error) (any, error) {
			<-release
			return nil, errProbe
		}}))
		defer w.close()
		c := w.client()
		defer c.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.say("already cancelled", c.Call(ctx, "s", "stuck", text("x"), text("")))
		ctx, cancel = context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
		r.say("already past its deadline", c.Call(ctx, "s", "stuck", text("x"), text("")))
		cancel()
		ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
		r.say("deadline in flight", c.Call(ctx, "s", "stuck", text("x"), text("")))
		cancel()
		ctx, because := context.WithCancelCause(context.Background())
		time.AfterFunc(50*time.Millisecond, func() { because(errProbe) })
		r.say("cancelled in flight with a cause", c.Call(ctx, "s", "stuck", text("x"), text("")))
	}},
	{name: "call/handler-context", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"look": func(ctx context.Context, _ func(any) error) (any, error) {
			d, ok := ctx.Deadline()
			md, has := ttrpc.GetMetadata(ctx)
			return text(fmt.Sprintf("deadline %t, within its bound %t; metadata %s %t; err %v",
				ok, ok && time.Until(d) > 0 && time.Until(d) < time.Minute, show(md), has, ctx.Err())), nil
		}}))
		defer w.close()
		c := w.client()
		defer c.Close()
		var resp wrapperspb.StringValue
		err := c.Call(context.Background(), "s", "look", text("x"), &resp)
		r.say("plain", resp.GetValue(), err)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = c.Call(ctx, "s", "look", text("x"), &resp)
		r.say("with a deadline", resp.GetValue(), err)
		err = c.Call(ttrpc.WithMetadata(ctx, ttrpc.MD{"Key": {"a", "b"}, "empty": {}}), "s", "look", text("x"), &resp)
		r.say("with metadata", resp.GetValue(), err)
	}},
	{name: "call/oversized", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
		defer w.close()
		c := w.client()
		defer c.Close()
		_, err := call(c, "echo", strings.Repeat("x", 4<<20))
		r.say("request over the limit", err)
		v, err := call(c, "echo", "x")
		r.say("afterwards", v, err)
	}},
	{name: "call/oversized-reply", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"big": answers(text(strings.Repeat("x", 4<<20))), "echo": echo}))
		defer w.close()
		c := w.client()
		defer c.Close()
		_, err := call(c, "big", "x")
		r.say("reply over the limit", err)
		v, err := call(c, "echo", "x")
		r.say("afterwards", v, err)
	}},
	{name: "call/handler-panics", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"panic": func(context.Context, func(any) error) (any, error) { panic("oh") }}))
		_, err := call(w.client(), "panic", "x")
		r.say("call", err)
	}},
}

// nilText is a typed nil.
var nilText *wrapperspb.StringValue

// inside is a method that gives unmarshal a target of the probe's choice and answers with
// what came of it.
func inside(target any) ttrpc.Method {
	return func(_ context.Context, unmarshal func(any) error) (any, error) {
		if err := unmarshal(target); err != nil {
			return nil, err
		}
		return text("unmarshalled"), nil
	}
}

type foreign struct{ A string }

var codecProbes = []probe{
	{name: "codec/client", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo, "answer": answers(text("y"))}))
		defer w.close()
		c := w.client()
		defer c.Close()
		for _, v := range []struct {
			what string
			msg  any
		}{{"nil", nil}, {"a typed nil", nilText}, {"a string", "x"}, {"a struct", foreign{}},
			{"a struct pointer", &foreign{}}, {"an error", errProbe}, {"bytes", []byte("x")}} {
			r.guard("request "+v.what, func() any { return rawCall(c, "echo", v.msg, text("")) })
			r.guard("response "+v.what, func() any { return rawCall(c, "answer", text("x"), v.msg) })
		}
		v, err := call(c, "echo", "x")
		r.say("afterwards", v, err)
		used := text("old")
		r.say("an empty reply into a used message", rawCall(c, "echo", text(""), used), used.GetValue())
		r.say("nil request and error", rawCall(c, "none", text("x"), nil))
	}},
	{name: "codec/client-parse", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"bad": answers(wrapperspb.Bytes([]byte{0xff})), "echo": echo,
			"echo-empty": func(_ context.Context, unmarshal func(any) error) (any, error) {
				m := new(emptypb.Empty)
				return m, unmarshal(m)
			},
		}))
		defer w.close()
		c := w.client()
		defer c.Close()
		r.say("a reply that does not parse", rawCall(c, "bad", text("x"), text("")))
		r.say("a reply of another type", rawCall(c, "echo", text("x"), &wrapperspb.Int64Value{}))
		keyTwice := new(emptypb.Empty) // in a map's entry, the second time with another wire type
		keyTwice.ProtoReflect().SetUnknown([]byte("\x0a\x0e\x0a\x03key\x09\x00\x00\x00\x00\x00\x00\x00\x00"))
		dynamic := dynamicpb.NewMessage(new(structpb.Struct).ProtoReflect().Descriptor())
		r.guard("a reply at which the protobuf module panics", func() any { return rawCall(c, "echo-empty", keyTwice, dynamic) })
		v, err := call(c, "echo", "x")
		r.say("afterwards", v, err)
	}},
	{name: "codec/server-answers", run: func(r *report) {
		for _, v := range []struct {
			what string
			msg  any
		}{{"nil", nil}, {"a typed nil", nilText}, {"a string", "x"}, {"a struct", foreign{}},
			{"a struct pointer", &foreign{}}, {"bad UTF-8", text("\xff")}} {
			w := newWorld(methods(map[string]ttrpc.Method{"answer": answers(v.msg), "echo": echo}))
			c := w.client()
			r.say("answer "+v.what, rawCall(c, "answer", text("x"), text("")))
			s, err := call(c, "echo", "x")
			r.say("after "+v.what, s, err)
			c.Close()
			w.close()
		}
	}},
	{name: "codec/server-unmarshal", run: func(r *report) {
		for _, v := range []struct {
			what string
			msg  any
		}{{"nil", nil}, {"a string", "x"}, {"a struct", foreign{}},
			{"a struct pointer", &foreign{}}, {"another type", &wrapperspb.Int64Value{}}} {
			w := newWorld(methods(map[string]ttrpc.Method{"into": inside(v.msg), "echo": echo}))
			c := w.client()
			r.say("unmarshal into "+v.what, rawCall(c, "into", text("x"), text("")))
			r.say("empty payload into "+v.what, rawCall(c, "into", text(""), text("")))
			c.Close()
			w.close()
		}
		w := newWorld(methods(map[string]ttrpc.Method{"into": inside(text("")), "twice": func(
			_ context.Context, unmarshal func(any) error,
		) (any, error) {
			var a, b wrapperspb.StringValue
			e1, e2 := unmarshal(&a), unmarshal(&b)
			return text(fmt.Sprint(a.Value, e1, b.Value, e2)), nil
		}, "used": func(_ context.Context, unmarshal func(any) error) (any, error) {
			used := text("old")
			err := unmarshal(used)
			return used, err
		}}))
		defer w.close()
		c := w.client()
		defer c.Close()
		r.say("a payload that does not parse", rawCall(c, "into", wrapperspb.Bytes([]byte{0xff}), text("")))
		resp := text("")
		r.say("unmarshal twice", rawCall(c, "twice", text("x"), resp), resp.Value)
		r.say("an empty payload into a used message", rawCall(c, "used", text(""), resp), resp.Value)
	}},
	{name: "codec/server-unmarshal-typed-nil", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"into": inside(nilText)}))
		defer w.close()
		c := w.client()
		r.say("unmarshal into a typed nil", rawCall(c, "into", text("x"), text("")))
	}},
	{name: "codec/bad-utf8", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"fail": fails(errors.New("a\xffb")), "echo": echo}))
		defer w.close()
		c := w.client()
		defer c.Close()
		r.say("a request with bad UTF-8", rawCall(c, "echo", text("\xff"), text("")))
		r.say("a method name with bad UTF-8", rawCall(c, "\xff", text("x"), text("")))
		ctx, cancel := soon()
		defer cancel()
		r.say("metadata with bad UTF-8", c.Call(ttrpc.WithMetadata(ctx, ttrpc.MD{"k": {"\xff"}}), "s", "echo", text("x"), text("")))
		r.say("an error with bad UTF-8", rawCall(c, "fail", text("x"), text("")))
		v, err := call(c, "echo", "x")
		r.say("afterwards", v, err)
	}},
}

// statusErr has a status of its own, as errors of user packages do.
type statusErr struct{ code codes.Code }

func (e statusErr) Error() string              { return "own text" }
func (e statusErr) GRPCStatus() *status.Status { return status.New(e.code, "own status") }

// handlerErrors are the errors whose way to the client is looked at.
func handlerErrors() []error {
	return []error{
		io.EOF, io.ErrClosedPipe, io.ErrNoProgress, io.ErrShortBuffer, io.ErrShortWrite, io.ErrUnexpectedEOF,
		os.ErrInvalid, os.ErrExist, os.ErrNotExist, os.ErrPermission, os.ErrClosed, os.ErrDeadlineExceeded,
		context.Canceled, context.DeadlineExceeded,
		syscall.ENOENT, syscall.EEXIST, syscall.EACCES, syscall.EPERM, syscall.EINVAL, syscall.EPIPE,
		&fs.PathError{Op: "open", Path: "p", Err: syscall.ENOENT}, &os.SyscallError{Syscall: "call", Err: syscall.EEXIST},
		&os.LinkError{Op: "link", Old: "o", New: "n", Err: os.ErrPermission},
		fmt.Errorf("wrapped: %w", io.EOF), fmt.Errorf("wrapped: %w", os.ErrNotExist), fmt.Errorf("wrapped: %w", context.Canceled),
		fmt.Errorf("wrapped: %w", os.ErrInvalid),
		errors.New("plain"), errors.New(""), ttrpc.ErrClosed, ttrpc.ErrServerClosed, ttrpc.ErrStreamClosed, ttrpc.OversizedMessageError(5 << 20),
		status.Error(codes.NotFound, "not found"), status.Error(codes.Code(77), "odd code"), status.Error(codes.Internal, ""),
		fmt.Errorf("wrapped: %w", status.Error(codes.NotFound, "not found")), errors.Join(errors.New("one"), status.Error(codes.DataLoss, "two")),
		statusErr{codes.Unavailable}, fmt.Errorf("wrapped: %w", statusErr{codes.Unavailable}), statusErr{codes.OK},
		detailed(), fmt.Errorf("wrapped: %w", detailed()),
	}
}

var mappingProbes = []probe{{name: "errors/mapping", run: func(r *report) {
	list := handlerErrors()
	w := newWorld(methods(map[string]ttrpc.Method{"fail": func(_ context.Context, unmarshal func(any) error) (any, error) {
		var i wrapperspb.Int64Value
		if err := unmarshal(&i); err != nil {
			return nil, err
		}
		return text("beside the error"), list[i.Value]
	}}))
	defer w.close()
	c := w.client()
	defer c.Close()
	for i, e := range list {
		resp := text("before")
		r.say(fmt.Sprintf("%T %q", e, e), rawCall(c, "fail", wrapperspb.Int64(int64(i)), resp), resp.Value)
	}
}}}
