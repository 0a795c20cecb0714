//go:build go1.25

package transport

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
)

// shortConn's writes say that they have written less, without an error.
type shortConn struct{ net.Conn }

func (shortConn) Write(b []byte) (int, error) { return len(b) - 1, nil }

func TestShortWriteIsAFailure(t *testing.T) {
	for _, size := range []int{0, 2 * messageSize} { // in one message, and in two
		failed := make(chan error, 1)
		tr := newTransport(t, shortConn{}, Config{OnFail: func(err error) { failed <- err }})
		post(t, tr, data(1, strings.Repeat("x", size))).Flush(true)
		wantExactly(t, wait(t, failed, "the failure"), io.ErrShortWrite)
		_, err := tr.Post(frameOf(data(1, "x")))
		wantExactly(t, err, io.ErrShortWrite)
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
			wait(t, conn.started, "the write")
			conn.release <- nil
			eventually(t, "the end of it", func() bool { return !isWriting(tr) })
			equal(t, len(conn.writes()), 1)
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
		a, b := pair(t, network)
		tr := newTransport(t, a, Config{})
		large := data(1, strings.Repeat("x", 16<<20))
		post(t, tr, large).Flush(true)
		equal(t, isWriting(tr), true)
		got := make([]byte, len(large.bytes()))
		_, err := io.ReadFull(b, got)
		check(t, err)
		equal(t, bytes.Equal(got, large.bytes()), true)
		check(t, tr.WaitWritten(bg, tr.Posted()))
		eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
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
		wait(t, conn.started, "a write")
		post(t, tr, data(1+i, "x")).Flush(true) // which the one who writes takes along
		conn.release <- nil
	}
	wait(t, conn.started, "the write by another goroutine")
	wait(t, returned, "the caller")
	conn.release <- nil
	eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
	equal(t, len(conn.writes()), flushRounds+1)
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
		equal(t, tr.WaitStreamSpace(ended) != nil, n >= 4)
		equal(t, tr.WaitSpace(ended) != nil, n >= 8)
		equal(t, tr.Full(), n >= 8)
	}
	waiting := make(chan struct{})
	go func() { tr.AwaitSpace(); close(waiting) }()
	go last.Flush(true)
	wait(t, conn.started, "the write")
	equal(t, tr.Full(), true)
	conn.release <- nil
	conn.release <- nil
	wait(t, waiting, "space")
	equal(t, tr.Full(), false)
	check(t, tr.WaitStreamSpace(ended))
	eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
}

func wireLen(text string) int { return len(data(1, text).bytes()) }

// The first bytes are written: whoever waits for them does not wait for what was posted behind
// them.
func TestWaitWritten(t *testing.T) {
	conn := newGatedConn()
	tr := newTransport(t, conn, Config{Backlog: 100})
	check(t, tr.WaitWritten(bg, 0))
	first := post(t, tr, data(1, "x"))
	n := tr.Posted()
	equal(t, n, uint64(wireLen("x")))
	go first.Flush(true)
	wait(t, conn.started, "the first write")
	large := post(t, tr, data(1, strings.Repeat("x", 10_000)))
	large.Flush(true)
	ended, cancel := context.WithCancel(bg)
	cancel()
	written, all := make(chan error, 1), make(chan error, 1)
	go func() { written <- tr.WaitWritten(bg, n) }()
	eventually(t, "somebody to wait", func() bool { tr.mu.Lock(); defer tr.mu.Unlock(); return tr.space != nil })
	wantExactly(t, tr.WaitWritten(ended, n), context.Canceled)
	conn.release <- nil
	wait(t, conn.started, "the second write")
	check(t, wait(t, written, "the first bytes"))
	go func() { all <- tr.WaitWritten(bg, tr.Posted()) }()
	wantExactly(t, tr.WaitWritten(ended, tr.Posted()), context.Canceled)
	conn.release <- nil
	conn.release <- nil // it leaves in two messages
	check(t, wait(t, all, "all bytes"))
	eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
}

// A half that has failed writes nothing more: nobody waits for it.
func TestWaitWrittenOfAFailedHalf(t *testing.T) {
	tr := newTransport(t, newGatedConn(), Config{})
	post(t, tr, data(1, "x"))
	written := make(chan error, 1)
	go func() { written <- tr.WaitWritten(bg, tr.Posted()) }()
	equal(t, tr.Stop(io.ErrClosedPipe), true)
	check(t, wait(t, written, "the end"))
}
