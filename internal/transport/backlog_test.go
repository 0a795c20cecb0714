//go:build go1.25

package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// gatedConn's writes wait to be let go, and can be made to fail.
type gatedConn struct {
	net.Conn
	started chan struct{}
	release chan error

	mu      sync.Mutex // guards written
	written [][]byte
}

func newGatedConn() *gatedConn {
	return &gatedConn{started: make(chan struct{}, 1000), release: make(chan error, 1000)}
}

func (c *gatedConn) Write(b []byte) (int, error) {
	c.started <- struct{}{}
	if err := <-c.release; err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written = append(c.written, bytes.Clone(b))
	return len(b), nil
}

func (c *gatedConn) Close() error { return nil }

// While one write is under way many frames are posted: they leave together, in their order.
func TestFramesLeaveTogether(t *testing.T) {
	const n = 1000
	conn := newGatedConn()
	tr := newTransport(t, conn, Config{})
	var want []byte
	var flushes sync.WaitGroup
	for i := range n {
		f := data(uint32(i), "x")
		want = append(want, f.Bytes()...)
		u := post(t, tr, f)
		flushes.Go(func() { u.Flush(true) })
		if i == 0 {
			testkit.Wait(t, conn.started, "the first write")
		}
	}
	for range n {
		conn.release <- nil
	}
	flushes.Wait()
	testkit.Eventually(t, "the backlog to be written", func() bool { return !isWriting(tr) && tr.waiting() == 0 })
	if len(conn.written) > 5 || !bytes.Equal(bytes.Join(conn.written, nil), want) {
		t.Errorf("%d frames left in %d writes", n, len(conn.written))
	}
}

// A write fails: the backlog is dropped, who waits for space is let go, and it is told once.
func TestFailingWrite(t *testing.T) {
	broken := errors.New("broken")
	var failures []error
	conn := newGatedConn()
	tr := newTransport(t, conn, Config{Backlog: 10, OnFail: func(err error) { failures = append(failures, err) }})
	first := post(t, tr, data(1, "x"))
	flushed := make(chan struct{})
	go func() { first.Flush(true); close(flushed) }()
	testkit.Wait(t, conn.started, "the write")
	second := post(t, tr, data(3, "x"))
	waiting := make(chan error, 1)
	go func() { waiting <- tr.WaitSpace(bg) }()
	ended, cancel := context.WithCancel(bg)
	cancel()
	testkit.WantExactly(t, tr.WaitSpace(ended), context.Canceled)
	conn.release <- broken
	testkit.Wait(t, flushed, "flush")
	testkit.Check(t, testkit.Wait(t, waiting, "WaitSpace"))
	_, err := tr.Post(frameOf(data(5, "x")))
	testkit.WantExactly(t, err, broken)
	second.Flush(true) // nothing is left to do
	tr.fail(errors.New("another"))
	_, err = tr.Post(frameOf(data(5, "x")))
	testkit.WantExactly(t, err, broken)
	testkit.Equal(t, tr.Stop(broken), false)
	testkit.Equal(t, fmt.Sprint(failures), "[broken]")
	testkit.Check(t, tr.WaitSpace(ended))
}

// A connection that is to close does so once everything is written.
func TestCloseWhenFlushed(t *testing.T) {
	for _, network := range []string{"unix", "tcp", "pipe"} {
		t.Run(network, func(t *testing.T) {
			a, b := testkit.Pair(t, network)
			done := make(chan error, 1)
			tr := newTransport(t, a, Config{OnFail: func(err error) { a.Close(); done <- err }})
			large := strings.Repeat("x", 3<<20)
			first := post(t, tr, data(1, large))
			go first.Flush(true)
			last := post(t, tr, data(1, "last"))
			go func() { last.Flush(true); tr.CloseWhenFlushed() }()
			want := append(data(1, large).Bytes(), data(1, "last").Bytes()...)
			got, err := io.ReadAll(b)
			testkit.Check(t, err)
			testkit.Equal(t, bytes.Equal(got, want), true)
			testkit.WantExactly(t, testkit.Wait(t, done, "the end"), ErrDone)
		})
	}
}
