// Package hello is the smallest ttrpc server with gogo messages that serves something.
package hello

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/bench/peers/ttrpc/gogo/messages"
)

// Main serves on the socket that the first argument names, and writes one byte when it listens.
func Main() {
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	s, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	s.Register("bench.Echo", map[string]ttrpc.Method{"Echo": handle})
	_, _ = os.Stdout.Write([]byte(".")) // whoever waits for it notices
	log.Fatal(s.Serve(context.Background(), l))
}

func handle(_ context.Context, unmarshal func(any) error) (any, error) {
	var req messages.Text
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	return &messages.Text{Text: req.Text}, nil
}
