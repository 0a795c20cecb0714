//go:build go1.25 && (linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package ttrpc_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// Only processes of this process's own user may connect, and a handler sees who calls.
func ExampleUnixSocketRequireSameUser() {
	socket, remove := exampleSocket()
	defer remove()
	server := newExample(&ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Who": func(ctx context.Context, _ func(any) error) (any, error) {
			peer := ttrpc.HandshakeData(ctx).(*ttrpc.UnixCredentials)
			return wrapperspb.Bool(int(peer.Uid) == os.Geteuid()), nil
		},
	}}, ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()))
	defer server.Close()
	l, err := ttrpc.ListenUnix(socket)
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(context.Background(), l)

	client, err := ttrpc.Dial(context.Background(), "unix:"+socket)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var mine wrapperspb.BoolValue
	err = client.Call(context.Background(), "example.Service", "Who", &wrapperspb.StringValue{}, &mine)
	fmt.Println(mine.Value, err)
	// Output: true <nil>
}

// password is a handshaker for both sides: the client writes a word of six bytes, and the server
// reads it.
type password struct{ write, want string }

func (p password) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	if p.write != "" {
		_, err := conn.Write([]byte(p.write))
		return conn, nil, err
	}
	got := make([]byte, len(p.want))
	if _, err := io.ReadFull(conn, got); err != nil {
		return nil, nil, err
	}
	if string(got) != p.want {
		return nil, nil, fmt.Errorf("the password is not %q", got)
	}
	return conn, "a friend", nil
}

// A handshake of one's own has the connection to itself until it returns.
func ExampleHandshaker() {
	server := newExample(&ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Who": func(ctx context.Context, _ func(any) error) (any, error) {
			return wrapperspb.String(ttrpc.HandshakeData(ctx).(string)), nil
		},
	}}, ttrpc.WithServerHandshaker(password{want: "sesame"}))
	defer server.Close()
	client := exampleClient(server, ttrpc.WithClientHandshaker(password{write: "sesame"}))
	defer client.Close()

	var who wrapperspb.StringValue
	err := client.Call(context.Background(), "example.Service", "Who", &wrapperspb.StringValue{}, &who)
	fmt.Println(who.Value, err)
	// Output: a friend <nil>
}
