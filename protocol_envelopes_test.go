//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

func TestP14EnvelopesAreProtobuf(t *testing.T) {
	service, method := field(1, []byte(svc)), field(2, []byte("echo"))
	payload := field(3, encode(text("x")))
	requests := map[string][]byte{
		"other order":       slices.Concat(payload, number(4, 1<<40), method, service),
		"last counts":       slices.Concat(field(1, []byte("none")), field(3, encode(text("y"))), service, method, payload),
		"unknown fields":    slices.Concat(number(9, 5), service, field(100, []byte("abc")), method, payload),
		"other wire type":   slices.Concat(service, number(1, 7), method, payload, field(4, []byte("soon"))),
		"defaults spelled":  slices.Concat(service, method, payload, number(4, 0), field(5, nil)),
		"long tags":         slices.Concat(service, method, []byte{0x9a, 0x00}, payload[1:]),
		"default then text": slices.Concat(service, method, field(3, nil), payload),
	}
	r := serve(t)
	for name, b := range requests {
		r.run(t, exchange{name, frames(rawFrame{id: 1, typ: 1, data: b}), frames(answer(1, "x"))})
	}
	responses := map[string][]byte{
		"other order":      slices.Concat(number(9, 1), field(2, encode(text("x")))),
		"last counts":      slices.Concat(field(2, encode(text("y"))), field(2, encode(text("x")))),
		"defaults spelled": slices.Concat(field(1, nil), field(2, encode(text("x")))),
	}
	c, p := rawServer(t, "unix")
	answerWith := func(b []byte) (string, error) {
		t.Helper()
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		p.send(rawFrame{id: f.id, typ: 2, data: b})
		return "", wait(t, result, "call")
	}
	for name, b := range responses {
		t.Run("response/"+name, func(t *testing.T) {
			_, err := answerWith(b)
			check(t, err)
		})
	}
	// A status in two parts is merged.
	_, err := answerWith(slices.Concat(field(1, number(1, 5)), field(1, field(2, []byte("gone")))))
	wantStatus(t, err, codes.NotFound, "gone")
}

func TestP15SuccessHasNoStatus(t *testing.T) {
	r := serve(t)
	r.run(t,
		exchange{"empty reply", frames(request(1, "empty", "")), frames(rawFrame{id: 1, typ: 2})},
		exchange{"reply", frames(request(1, "echo", "x")), frames(rawFrame{id: 1, typ: 2, data: field(2, encode(text("x")))})},
	)
	for _, interceptor := range []ttrpc.UnaryClientInterceptor{nil, passOn} {
		c, p := rawServer(t, "unix", ttrpc.WithUnaryClientInterceptor(interceptor))
		resp := make(chan string, 1)
		go func() {
			out, err := call(bg, c, "echo", "")
			resp <- fmt.Sprint(out, err)
		}()
		f, _ := p.recvRequest()
		f.typ, f.data = 2, encode(&ttrpc.Response{Status: &spb.Status{Message: "fine"}, Payload: encode(text("x"))})
		p.send(f)
		equal(t, wait(t, resp, "call"), "x<nil>")
	}
}

// passOn is an interceptor that does nothing.
func passOn(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
	return invoke(ctx, req, resp)
}

func TestP16NamesHaveNoSlashes(t *testing.T) {
	serve(t).run(t,
		exchange{"nothing", frames(rawFrame{id: 1, typ: 1}), frames(refusal(1, codes.Unimplemented, "service "))},
		exchange{"no method", frames(requestOf(1, 0, &ttrpc.Request{Service: svc})), frames(refusal(1, codes.Unimplemented, "method "))},
		exchange{"slashes", frames(requestOf(1, 0, &ttrpc.Request{Service: "/" + svc, Method: "/echo"})),
			frames(refusal(1, codes.Unimplemented, "service /"+svc))},
	)
	c, p := rawServer(t, "unix")
	goCall(bg, c, "echo", "x")
	_, req := p.recvRequest()
	equal(t, req.Service, svc)
	equal(t, req.Method, "echo")
}
