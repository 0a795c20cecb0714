// Command weight is a server and a client that does not dial: see TestDialIsLinkedByUseAlone.
package main

import (
	"context"
	"net"
	"os"

	"github.com/containerd/ttrpc"
)

func main() {
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		panic(err)
	}
	s, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	go s.Serve(context.Background(), l)
	conn, err := net.Dial("unix", os.Args[1])
	if err != nil {
		panic(err)
	}
	use(ttrpc.NewClient(conn))
	use(dial())
}

func use(c *ttrpc.Client) {
	defer c.Close()
	if err := c.Call(context.Background(), "service", "method", nil, nil); err != nil {
		panic(err)
	}
}
