//go:build go1.25

package ttrpc_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
)

// messageConn is one end of a conn like those of NRI's multiplexer: what one Write sends one Read
// receives, and fails if it has too little room. Deadlines do nothing.
type messageConn struct {
	in, out   chan []byte
	done      chan struct{} // closed with either end
	closeOnce *sync.Once
}

func messageConns() (a, b net.Conn) {
	there, back := make(chan []byte, 64), make(chan []byte, 64)
	done, once := make(chan struct{}), new(sync.Once)
	return &messageConn{there, back, done, once}, &messageConn{back, there, done, once}
}

func (c *messageConn) Read(b []byte) (int, error) {
	select {
	case message := <-c.in:
		if len(b) < len(message) {
			return 0, syscall.ENOMEM
		}
		return copy(b, message), nil
	case <-c.done:
		return 0, io.EOF
	}
}

func (c *messageConn) Write(b []byte) (int, error) {
	select {
	case c.out <- bytes.Clone(b):
		return len(b), nil
	case <-c.done:
		return 0, io.ErrClosedPipe
	}
}

func (c *messageConn) Close() error                     { c.closeOnce.Do(func() { close(c.done) }); return nil }
func (c *messageConn) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (c *messageConn) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (c *messageConn) SetDeadline(time.Time) error      { return nil }
func (c *messageConn) SetReadDeadline(time.Time) error  { return nil }
func (c *messageConn) SetWriteDeadline(time.Time) error { return nil }

func TestMessageConnsCarryAll(t *testing.T) {
	l := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	near, far := messageConns()
	l.conns <- far
	r := serve(t, l)
	c := ttrpc.NewClient(near)
	t.Cleanup(func() { c.Close() })
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			out, err := call(bg, c, "echo", strings.Repeat("c", 1000))
			if err != nil || len(out) != 1000 {
				t.Errorf("%d bytes, %v", len(out), err)
			}
		})
	}
	callers.Wait()
	useAll(t, r, c)
}

// bufferedPeer reads and writes as the original's releases do: through buffers of 4096 bytes, each
// frame flushed.
type bufferedPeer struct {
	*rawPeer
	out *bufio.Writer
}

func newBufferedPeer(t testing.TB, conn net.Conn) bufferedPeer {
	p := newRawPeer(t, conn)
	p.in = bufio.NewReaderSize(conn, 4096)
	return bufferedPeer{p, bufio.NewWriterSize(conn, 4096)}
}

func (p bufferedPeer) send(f rawFrame) {
	b := f.bytes()
	_, err := p.out.Write(b[:10])
	check(p.t, err)
	_, err = p.out.Write(b[10:])
	check(p.t, err)
	check(p.t, p.out.Flush())
}

// The pieces of frames are those that the original's peers send and expect.
func TestMessageConnsWithTheOriginal(t *testing.T) {
	l := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	near, far := messageConns()
	l.conns <- far
	serve(t, l)
	client := newBufferedPeer(t, near)
	near, far = messageConns()
	c := ttrpc.NewClient(near)
	t.Cleanup(func() { c.Close() })
	server := newBufferedPeer(t, far)
	id := uint32(1)
	for _, size := range []int{0, 1, 4000, 4060, 4086, 4096, 4100, 5000, 8182, 8192, 9000, 32 << 10, 65 << 10, 1 << 20, 3 << 20} {
		body := strings.Repeat("b", size)
		client.send(request(id, "echo", body))
		client.wantAnswer(id, body)
		done := goCall(bg, c, "echo", body)
		equal(t, len(server.recv().data) > size, true)
		server.send(answer(id, body))
		check(t, wait(t, done, "the call"))
		id += 2
	}
}
