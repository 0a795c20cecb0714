// Package hello is the smallest server of a ttrpc release that serves something.
package hello

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/bench/echo"
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
	s.RegisterService("bench.Echo", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"Echo": handle}})
	_, _ = os.Stdout.Write([]byte(".")) // whoever waits for it notices
	log.Fatal(s.Serve(context.Background(), l))
}

func handle(_ context.Context, unmarshal func(any) error) (any, error) {
	var req echo.Text
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	return &echo.Text{Text: req.Text}, nil
}
