//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// greeter is a server on a socket. (Generated code registers its service.)
func greeter(socket string) *ttrpc.Server {
	l, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	server.Register("example.Greeter", map[string]ttrpc.Method{
		"Greet": func(_ context.Context, unmarshal func(any) error) (any, error) {
			var name wrapperspb.StringValue
			if err := unmarshal(&name); err != nil {
				return nil, err
			}
			return wrapperspb.String("Hello, " + name.Value + "!"), nil
		},
	})
	go server.Serve(context.Background(), l)
	return server
}

func askGreeter(ctx context.Context, c *ttrpc.Client) (string, error) {
	var reply wrapperspb.StringValue
	err := c.Call(ctx, "example.Greeter", "Greet", wrapperspb.String("world"), &reply)
	return reply.Value, err
}

// exampleSocket is the path of a socket in a new folder.
func exampleSocket() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		log.Fatal(err)
	}
	return filepath.Join(dir, "s"), func() { os.RemoveAll(dir) }
}

// The client connects at its first call. What generated code makes of it, such as
// NewGreeterClient(client), survives restarts of the server as it does.
func ExampleDial() {
	socket, remove := exampleSocket()
	defer remove()
	defer greeter(socket).Close()

	client, err := ttrpc.Dial(context.Background(), "unix:"+socket)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Println(askGreeter(context.Background(), client))
	// Output: Hello, world! <nil>
}

// The states of a client whose server is restarted.
func ExampleWithStateCallback() {
	socket, remove := exampleSocket()
	defer remove()

	idle := make(chan struct{}, 1)
	client, err := ttrpc.Dial(context.Background(), "unix:"+socket,
		ttrpc.WithStateCallback(func(state ttrpc.ConnState, why error) {
			fmt.Println(state)
			if state == ttrpc.StateIdle {
				idle <- struct{}{}
			}
		}))
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		server := greeter(socket)
		if _, err := askGreeter(context.Background(), client); err != nil {
			log.Fatal(err)
		}
		if err := server.Shutdown(context.Background()); err != nil {
			log.Fatal(err)
		}
		<-idle
	}
	client.Close()
	if err := client.UserOnCloseWait(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// Connecting
	// Ready
	// Idle
	// Connecting
	// Ready
	// Idle
	// Closed
}

// Calls wait for a server that is not there yet.
func ExampleWithWaitForReady() {
	socket, remove := exampleSocket()
	defer remove()

	client, err := ttrpc.Dial(context.Background(), "unix:"+socket, ttrpc.WithWaitForReady(),
		ttrpc.WithBackoff(ttrpc.Backoff{Base: 10 * time.Millisecond, Max: time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	replied := make(chan string)
	go func() {
		reply, err := askGreeter(ctx, client)
		replied <- fmt.Sprint(reply, " ", err)
	}()
	defer greeter(socket).Close()
	fmt.Println(<-replied)
	// Output: Hello, world! <nil>
}

// A caller repeats by itself what can be repeated in any case, and else only what may run twice.
func ExampleNotSent() {
	client, err := ttrpc.Dial(context.Background(), "unix:/no/s")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = askGreeter(context.Background(), client)
	fmt.Println(err)
	fmt.Println(ttrpc.NotSent(err), ttrpc.StatusOf(err).Code())
	// Output:
	// ttrpc: no connection to unix:/no/s: dial unix /no/s: connect: no such file or directory
	// true Unavailable
}
