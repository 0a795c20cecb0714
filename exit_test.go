//go:build go1.25

package ttrpc_test

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
)

// What SendMsg has taken reaches the server, though the process ends right then: small messages in
// a row, and those for which the socket has no room at first.
func TestSentMessagesOutliveTheProcess(t *testing.T) {
	const count = 2000
	if address := os.Getenv("TTRPC_TEST_ADDRESS"); child() != "" {
		conn, err := net.Dial("unix", address)
		check(t, err)
		in := text(strings.Repeat("x", map[string]int{"small": 10, "large": 10_000}[child()]))
		cs := open(t, bg, ttrpc.NewClient(conn), &ttrpc.StreamDesc{StreamingClient: true}, "up", nil)
		for range count {
			check(t, cs.SendMsg(in))
		}
		os.Exit(0)
	}
	for _, size := range []string{"small", "large"} {
		t.Run(size, func(t *testing.T) {
			got := make(chan int, 1)
			up := func(_ context.Context, ss ttrpc.StreamServer) error {
				n := 0
				for ; ; n++ {
					if _, err := recvText(ss); err != nil {
						got <- n
						return err
					}
				}
			}
			r := serve(t, withStream("up", ttrpc.Stream{Handler: handler(up), StreamingClient: true}))
			out, err := runChildOf(t, "TestSentMessagesOutliveTheProcess", size, "TTRPC_TEST_ADDRESS="+r.l.Addr().String())
			if err != nil {
				t.Fatalf("%v: %.1500s", err, out)
			}
			equal(t, wait(t, got, "the stream's end"), count)
		})
	}
}
