//go:build go1.25 && unix

package ttrpc_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
)

const blockingVariable = "TTRPC_TEST_BLOCKING"

// A descriptor that somebody has made block, as Fd does with what File of the connection returned,
// stops neither the collector nor any goroutine. A process of its own tries it, for one that stands
// still cannot fail.
func TestBlockingDescriptor(t *testing.T) {
	if os.Getenv(blockingVariable) != "" {
		callOverBlockingDescriptors(t)
		closeBlockingDescriptors(t)
		return
	}
	self, err := os.Executable()
	check(t, err)
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestBlockingDescriptor$")
	cmd.Env = append(os.Environ(), blockingVariable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// makeBlock is a handshake that looks at the descriptor as some do for a peer's credentials.
func makeBlock(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	f, err := conn.(*net.UnixConn).File()
	if err != nil {
		return nil, nil, err
	}
	f.Fd()
	return conn, nil, f.Close()
}

func callOverBlockingDescriptors(t *testing.T) {
	r := serve(t, ttrpc.WithServerHandshaker(handshakeFunc(makeBlock)), ttrpc.WithClientHandshaker(handshakeFunc(makeBlock)))
	c := r.client()
	for range 10 {
		wantEcho(t, c)
		elapse(10 * time.Millisecond) // both sides wait for the next frame
		runtime.GC()
	}
	big := make([]byte, 1<<20)
	for i := range big {
		big[i] = 'x'
	}
	out, err := call(bg, c, "echo", string(big))
	check(t, err)
	equal(t, len(out), len(big))
}

// closeBlockingDescriptors closes both ends of connections whose peers do not read, while somebody
// writes to them.
func closeBlockingDescriptors(t *testing.T) {
	large := strings.Repeat("x", 3<<20)
	r := serve(t, ttrpc.WithServerHandshaker(handshakeFunc(makeBlock)))
	p := r.raw()
	p.send(request(1, "echo", large))
	p.peek() // and no further: the server writes in vain
	check(t, r.Server.Close())

	c, p := rawServer(t, "unix", ttrpc.WithClientHandshaker(handshakeFunc(makeBlock)))
	result := goCall(bg, c, "echo", large)
	p.peek()
	check(t, c.Close())
	wantExactly(t, wait(t, result, "the call"), ttrpc.ErrClosed)
}
