//go:build go1.25

package ttrpc

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

// frameOf is a frame on its way out.
func frameOf(f rawFrame) *frame {
	out := newFrame(len(f.bytes()))
	out.b = append(out.b, f.bytes()...)
	return out
}

// While one write is under way many frames are posted: they leave together, in their order.
func TestFramesLeaveTogether(t *testing.T) {
	const n = 1000
	conn := newGatedConn()
	ch := newChannel(conn, defaultMaxMessage, defaultBacklog, func(err error) { t.Error(err) })
	var want []byte
	var flushes sync.WaitGroup
	for i := range n {
		f := data(uint32(i), 0, "x")
		want = append(want, f.bytes()...)
		check(t, ch.post(frameOf(f)))
		flushes.Go(func() { ch.flush(true) })
		if i == 0 {
			wait(t, conn.started, "the first write")
		}
	}
	for range n {
		conn.release <- nil
	}
	flushes.Wait()
	eventually(t, "the backlog to be written", func() bool {
		ch.mu.Lock()
		defer ch.mu.Unlock()
		return !ch.writing && ch.held == 0
	})
	if len(conn.written) > 5 || !bytes.Equal(bytes.Join(conn.written, nil), want) {
		t.Errorf("%d frames left in %d writes", n, len(conn.written))
	}
}

// A write fails: the backlog is dropped, who waits for space is let go, and it is told once.
func TestFailingWrite(t *testing.T) {
	broken := errors.New("broken")
	var failures []error
	conn := newGatedConn()
	ch := newChannel(conn, defaultMaxMessage, 10, func(err error) { failures = append(failures, err) })
	check(t, ch.post(frameOf(data(1, 0, "x"))))
	flushed := make(chan struct{})
	go func() { ch.flush(true); close(flushed) }()
	wait(t, conn.started, "the write")
	check(t, ch.post(frameOf(data(3, 0, "x"))))
	waiting := make(chan error, 1)
	go func() { waiting <- ch.waitSpace(bg) }()
	ended, cancel := context.WithCancel(bg)
	cancel()
	wantExactly(t, ch.waitSpace(ended), context.Canceled)
	conn.release <- broken
	wait(t, flushed, "flush")
	check(t, wait(t, waiting, "waitSpace"))
	wantExactly(t, ch.post(frameOf(data(5, 0, "x"))), broken)
	ch.flush(true) // nothing is left to do
	ch.fail(errors.New("another"))
	wantExactly(t, ch.post(frameOf(data(5, 0, "x"))), broken)
	equal(t, fmt.Sprint(failures), "[broken]")
	check(t, ch.waitSpace(ended))
}

// A connection that is to close does so once everything is written.
func TestCloseWhenFlushed(t *testing.T) {
	for _, transport := range []string{"unix", "tcp", "pipe"} {
		t.Run(transport, func(t *testing.T) {
			a, b := pair(t, transport)
			done := make(chan error, 1)
			ch := newChannel(a, defaultMaxMessage, defaultBacklog, func(err error) { a.Close(); done <- err })
			large := strings.Repeat("x", 3<<20)
			check(t, ch.post(frameOf(data(1, 0, large))))
			go ch.flush(true)
			check(t, ch.post(frameOf(data(1, 0, "last"))))
			go func() { ch.flush(true); ch.closeWhenFlushed() }()
			want := append(data(1, 0, large).bytes(), data(1, 0, "last").bytes()...)
			got, err := io.ReadAll(b)
			check(t, err)
			equal(t, bytes.Equal(got, want), true)
			wantExactly(t, wait(t, done, "the end"), errConnDone)
		})
	}
}
