//go:build go1.25

package transport

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
)

// shortConn's writes say that they have written less, without an error.
type shortConn struct{ net.Conn }

func (shortConn) Write(b []byte) (int, error) { return len(b) - 1, nil }

func TestShortWriteIsAFailure(t *testing.T) {
	for _, size := range []int{0, 2 * messageSize} { // in one message, and in two
		failed := make(chan error, 1)
		tr := newTransport(t, shortConn{}, Config{OnFail: func(err error) { failed <- err }})
		post(t, tr, data(1, strings.Repeat("x", size))).Flush(true)
		testkit.WantExactly(t, testkit.Wait(t, failed, "the failure"), io.ErrShortWrite)
		_, err := tr.Post(frameOf(data(1, "x")))
		testkit.WantExactly(t, err, io.ErrShortWrite)
	}
}

// longConn's writes say that they have written more, as those of a conn may that encrypts.
type longConn struct{ wrote chan string }

func (longConn) LocalAddr() net.Addr              { return nil }
func (longConn) RemoteAddr() net.Addr             { return nil }
func (longConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (longConn) Close() error                     { return nil }
func (longConn) SetDeadline(time.Time) error      { return nil }
func (longConn) SetReadDeadline(time.Time) error  { return nil }
func (longConn) SetWriteDeadline(time.Time) error { return nil }

func (c longConn) Write(b []byte) (int, error) {
	c.wrote <- string(b)
	return len(b) + 16, nil
}

func TestWriteOfMoreIsNoFailure(t *testing.T) {
	for _, size := range []int{0, 2 * messageSize} { // in one message, and in two
		conn := longConn{make(chan string, 2)}
		tr := newTransport(t, conn, Config{OnFail: func(err error) { t.Error(err) }})
		f := data(1, strings.Repeat("x", size))
		want := string(f.Bytes())
		post(t, tr, f).Flush(true)
		close(conn.wrote)
		got := ""
		for piece := range conn.wrote {
			got += piece
		}
		testkit.Equal(t, got == want, true)
	}
}

// A caller who must not block leaves the writing to another goroutine, and so does one who says so.
func TestFlushThatMustNotBlock(t *testing.T) {
	for name, flush := range map[string]func(u Unwritten){
		"Flush":        func(u Unwritten) { u.Flush(false) },
		"FlushBatched": func(u Unwritten) { u.FlushBatched(false) },
		"FlushLater":   Unwritten.FlushLater,
	} {
		t.Run(name, func(t *testing.T) {
			conn := newGatedConn()
			tr := newTransport(t, conn, Config{})
			flush(post(t, tr, data(1, "x")))
			testkit.Wait(t, conn.started, "the write")
			conn.release <- nil
			testkit.Eventually(t, "the end of it", func() bool { return !isWriting(tr) })
			testkit.Equal(t, len(conn.writes()), 1)
		})
	}
	Unwritten{}.Flush(true) // is no frame
	Unwritten{}.FlushBatched(true)
	Unwritten{}.FlushLater()
}

// On a descriptor no flush blocks, however little the peer reads,
// and what it leaves over is written later.
func TestFlushOfADescriptorDoesNotBlock(t *testing.T) {
	if !canTryIO {
		t.Skip("no descriptors here")
	}
	for _, network := range []string{"unix", "tcp"} {
		a, b := testkit.Pair(t, network)
		tr := newTransport(t, a, Config{})
		large := data(1, strings.Repeat("x", 16<<20))
		post(t, tr, large).Flush(true)
		testkit.Equal(t, isWriting(tr), true)
		got := make([]byte, len(large.Bytes()))
		_, err := io.ReadFull(b, got)
		testkit.Check(t, err)
		testkit.Equal(t, bytes.Equal(got, large.Bytes()), true)
		testkit.Check(t, tr.WaitWritten(bg, tr.Posted()))
		testkit.Eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
	}
}

// One caller writes so often for others, and no more.
func TestCallerWritesABoundedTime(t *testing.T) {
	conn := newGatedConn()
	tr := newTransport(t, conn, Config{})
	returned := make(chan struct{})
	first := post(t, tr, data(0, "x"))
	go func() { first.Flush(true); close(returned) }()
	for i := range uint32(flushRounds) {
		testkit.Wait(t, conn.started, "a write")
		post(t, tr, data(1+i, "x")).Flush(true) // which the one who writes takes along
		conn.release <- nil
	}
	testkit.Wait(t, conn.started, "the write by another goroutine")
	testkit.Wait(t, returned, "the caller")
	conn.release <- nil
	testkit.Eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
	testkit.Equal(t, len(conn.writes()), flushRounds+1)
}

// Messages of streams stop at half of the limit, all else at the whole.
func TestLimitsOfTheBacklog(t *testing.T) {
	ended, cancel := context.WithCancel(bg)
	cancel()
	conn := newGatedConn()
	tr := newTransport(t, conn, Config{Backlog: 8 * wireLen("x")})
	var last Unwritten
	for n := 1; n <= 8; n++ {
		last = post(t, tr, data(1, "x"))
		testkit.Equal(t, tr.WaitStreamSpace(ended) != nil, n >= 4)
		testkit.Equal(t, tr.WaitSpace(ended) != nil, n >= 8)
		testkit.Equal(t, tr.Full(), n >= 8)
	}
	waiting := make(chan struct{})
	go func() { tr.AwaitSpace(); close(waiting) }()
	go last.Flush(true)
	testkit.Wait(t, conn.started, "the write")
	testkit.Equal(t, tr.Full(), true)
	conn.release <- nil
	conn.release <- nil
	testkit.Wait(t, waiting, "space")
	testkit.Equal(t, tr.Full(), false)
	testkit.Check(t, tr.WaitStreamSpace(ended))
	testkit.Eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
}

func wireLen(text string) int { return len(data(1, text).Bytes()) }

// The first bytes are written: whoever waits for them does not wait for what was posted behind
// them.
func TestWaitWritten(t *testing.T) {
	conn := newGatedConn()
	tr := newTransport(t, conn, Config{Backlog: 100})
	testkit.Check(t, tr.WaitWritten(bg, 0))
	first := post(t, tr, data(1, "x"))
	n := tr.Posted()
	testkit.Equal(t, n, uint64(wireLen("x")))
	go first.Flush(true)
	testkit.Wait(t, conn.started, "the first write")
	large := post(t, tr, data(1, strings.Repeat("x", 10_000)))
	large.Flush(true)
	ended, cancel := context.WithCancel(bg)
	cancel()
	written, all := make(chan error, 1), make(chan error, 1)
	go func() { written <- tr.WaitWritten(bg, n) }()
	testkit.Eventually(t, "somebody to wait", func() bool { tr.mu.Lock(); defer tr.mu.Unlock(); return tr.space != nil })
	testkit.WantExactly(t, tr.WaitWritten(ended, n), context.Canceled)
	conn.release <- nil
	testkit.Wait(t, conn.started, "the second write")
	testkit.Check(t, testkit.Wait(t, written, "the first bytes"))
	go func() { all <- tr.WaitWritten(bg, tr.Posted()) }()
	testkit.WantExactly(t, tr.WaitWritten(ended, tr.Posted()), context.Canceled)
	conn.release <- nil
	conn.release <- nil // it leaves in two messages
	testkit.Check(t, testkit.Wait(t, all, "all bytes"))
	testkit.Eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
}

// A half that has failed writes nothing more: nobody waits for it.
func TestWaitWrittenOfAFailedHalf(t *testing.T) {
	tr := newTransport(t, newGatedConn(), Config{})
	post(t, tr, data(1, "x"))
	written := make(chan error, 1)
	go func() { written <- tr.WaitWritten(bg, tr.Posted()) }()
	testkit.Equal(t, tr.Stop(io.ErrClosedPipe), true)
	testkit.Check(t, testkit.Wait(t, written, "the end"))
}
