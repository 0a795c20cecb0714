//go:build go1.25

package ttrpctest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/ttrpctest"
)

// greeter is a service; generated code has a function that registers one.
var greeter = map[string]ttrpc.Method{
	"Greet": func(_ context.Context, unmarshal func(any) error) (any, error) {
		name := new(wrapperspb.StringValue)
		if err := unmarshal(name); err != nil {
			return nil, err
		}
		return wrapperspb.String("Hello, " + name.Value + "!"), nil
	},
}

func greet(ctx context.Context, client *ttrpc.Client) (string, error) {
	reply := new(wrapperspb.StringValue)
	err := client.Call(ctx, "hello.Greeter", "Greet", wrapperspb.String("world"), reply)
	return reply.Value, err
}

func ExampleNewServer() {
	_ = func(t *testing.T) { // the test
		ttrpctest.CheckLeaks(t)
		server := ttrpctest.NewServer(t, func(s *ttrpc.Server) { s.Register("hello.Greeter", greeter) })
		got, err := greet(t.Context(), server.Client())
		if err != nil || got != "Hello, world!" {
			t.Error(got, err)
		}
	}
}

// In a bubble of testing/synctest the hour of this test takes no time.
func ExampleServer_Dial() {
	_ = func(t *testing.T) { // the test
		synctest.Test(t, func(t *testing.T) {
			server := ttrpctest.NewServer(t, func(s *ttrpc.Server) { s.Register("hello.Greeter", greeter) })
			conn := server.Dial()
			client := ttrpc.NewClient(conn)
			conn.Peer().SetDelay(2 * time.Hour) // answers arrive so much later
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if _, err := greet(ctx, client); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

// The server dies, as the client sees it, amid its answer.
func ExampleConn_CutAfter() {
	conn, serverEnd := ttrpctest.Pair()
	server, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	server.Register("hello.Greeter", greeter)
	go server.ServeConn(context.Background(), serverEnd)

	client := ttrpc.NewClient(conn)
	defer client.Close()
	serverEnd.CutAfter(12)
	_, err = greet(context.Background(), client)
	fmt.Println(errors.Is(err, ttrpc.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF))
	// Output: true true
}
