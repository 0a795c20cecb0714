//go:build go1.25

package ttrpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// chunkConn gives out its bytes so many at a time, and then an error.
type chunkConn struct {
	net.Conn
	b     []byte
	chunk int
	err   error
}

func (c *chunkConn) Read(b []byte) (int, error) {
	n := copy(b, c.b[:min(c.chunk, len(c.b))])
	c.b = c.b[n:]
	if len(c.b) == 0 {
		return n, c.err
	}
	return n, nil
}

// received reads all frames of a conn.
func received(conn net.Conn, limit int) (all []string, err error) {
	ch := newChannel(conn, limit, defaultBacklog, nil)
	defer ch.discard()
	for i := 0; ; i++ {
		in, err := ch.recv()
		for ; in != nil; in = ch.buffered() {
			all = append(all, describe(in, i%2 == 0))
		}
		if err != nil {
			return all, err
		}
	}
}

// describe tells a frame, which some take.
func describe(in *inbound, take bool) string {
	if in.oversized {
		return fmt.Sprintf("%d oversized %d", in.stream, in.length)
	}
	data := in.data()
	if take {
		f := in.take()
		defer f.free()
		data = f.data()
	}
	return fmt.Sprintf("%d %v %d %d %.10x %d", in.stream, in.typ, in.flags, len(data), data, bytes.Count(data, []byte{7}))
}

// However the bytes arrive, the frames are the same.
func TestRecvOfSplitFrames(t *testing.T) {
	var stream []byte
	for i, size := range []int{0, 1, 5, 100, 3000, 0, 9000, 10, 40_000, 40_001, 70_000, 3, 300_000, 2, 39_999, 0} {
		f := rawFrame{id: uint32(i), typ: 3, flags: byte(i), data: bytes.Repeat([]byte{7}, size)}
		stream = append(stream, f.bytes()...)
	}
	want, err := received(&chunkConn{b: stream, chunk: len(stream), err: io.EOF}, 100_000)
	wantExactly(t, err, io.EOF)
	equal(t, len(want), 16)
	equal(t, want[12], "12 oversized 300000")
	equal(t, want[10], "10 data 10 70000 07070707070707070707 70000")
	for _, chunk := range []int{1, 2, 3, 7, 10, 11, 100, 4096, 8192, 40_000} {
		got, err := received(&chunkConn{b: stream, chunk: chunk, err: io.EOF}, 100_000)
		wantExactly(t, err, io.EOF)
		equal(t, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A stream that ends at any of its bytes: between frames that is io.EOF, and else it is not.
func TestRecvOfEveryPrefix(t *testing.T) {
	var stream []byte
	whole := map[int]int{0: 0} // frames by length
	for i, size := range []int{0, 20, 5, 200} {
		stream = append(stream, rawFrame{id: uint32(i), typ: 3, data: make([]byte, size)}.bytes()...)
		whole[len(stream)] = i + 1
	}
	for n := range len(stream) + 1 {
		for _, chunk := range []int{1, 1000} {
			got, err := received(&chunkConn{b: stream[:n], chunk: chunk, err: io.EOF}, 100)
			if frames, ok := whole[n]; ok {
				equal(t, len(got), frames)
				wantExactly(t, err, io.EOF)
			} else {
				wantExactly(t, err, io.ErrUnexpectedEOF)
			}
		}
	}
	broken := errors.New("broken")
	_, err := received(&chunkConn{b: stream[:15], chunk: 1, err: broken}, 100)
	wantExactly(t, err, broken)
}

// A frame gets a buffer as it arrives, and not before.
func TestRecvGrowsItsBuffer(t *testing.T) {
	f := rawFrame{id: 1, typ: 3, data: make([]byte, 4<<20)}
	conn := &chunkConn{b: f.bytes(), chunk: 10_000, err: io.EOF}
	ch := newChannel(conn, defaultMaxMessage, defaultBacklog, nil)
	ch.reader.messages = false // as for a socket
	for {
		if in := ch.buffered(); in != nil {
			equal(t, len(in.data()), 4<<20)
			break
		}
		check(t, ch.fill())
		if p := ch.part; p != nil && cap(p.b) > 80<<10 && cap(p.b) > 8*len(p.b) { // four times, and the next size of buffers
			t.Fatalf("%d bytes have arrived in a buffer of %d", len(p.b), cap(p.b))
		}
	}
	ch.discard()
}

func TestP54WaitingReaderHasNoBuffer(t *testing.T) {
	for _, transport := range []string{"unix", "tcp"} {
		a, b := pair(t, transport)
		ch := newChannel(a, defaultMaxMessage, defaultBacklog, nil)
		if ch.reader.raw == nil {
			t.Skip("no descriptors to wait on here")
		}
		_, err := b.Write(rawFrame{id: 1, typ: 3, data: []byte("abc")}.bytes())
		check(t, err)
		in, err := ch.recv()
		check(t, err)
		equal(t, string(in.data()), "abc")
		check(t, a.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = ch.recv()
		wantIs(t, err, os.ErrDeadlineExceeded)
		if ch.reader.buf != nil || ch.reader.part != nil {
			t.Error("a buffer is kept while waiting")
		}
		// Nor with a piece of a header at hand.
		_, err = b.Write([]byte{0, 0, 0})
		check(t, err)
		check(t, a.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = ch.recv()
		wantIs(t, err, os.ErrDeadlineExceeded)
		if ch.reader.buf != nil {
			t.Error("a buffer is kept for a piece of a header")
		}
	}
}
