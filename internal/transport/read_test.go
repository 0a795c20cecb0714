//go:build go1.25

package transport

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

	"github.com/containerd/ttrpc/internal/testkit"
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

// received reads all frames of a conn. like is that of the reader.
func received(conn net.Conn, limit, like int) (all []string, err error) {
	tr, gate := New(conn, Config{MaxData: limit}), newGate()
	tr.reader.likelyLimit = like
	defer tr.Discard()
	for i := 0; ; i++ {
		in, err := tr.Recv(gate, true)
		for ; in != nil; in = tr.Buffered() {
			all = append(all, describe(in, i%2 == 0))
		}
		if err != nil {
			return all, err
		}
	}
}

// describe tells a frame, which some take.
func describe(in *Inbound, take bool) string {
	if in.Oversized() {
		return fmt.Sprintf("%d oversized %d", in.Stream, in.Length)
	}
	data := in.Data()
	if take {
		f := in.Take()
		defer f.Free()
		data = f.Data()
	}
	return fmt.Sprintf("%d %v %d %d %.10x %d", in.Stream, in.Type, in.Flags, len(data), data, bytes.Count(data, []byte{7}))
}

// However the bytes arrive, the frames are the same.
func TestRecvOfSplitFrames(t *testing.T) {
	var stream []byte
	for i, size := range []int{
		0, 1, 5, 100, 3000, 0, 9000, 10, 40_000, 40_001, 70_000, 3, 300_000, 2, 39_999, 0,
		39_999, 39_999, 39_999, 39_000, 50_000, 50_000, 1,
	} {
		f := testkit.Frame{ID: uint32(i), Type: 3, Flags: byte(i), Data: bytes.Repeat([]byte{7}, size)}
		stream = append(stream, f.Bytes()...)
	}
	want, err := received(&chunkConn{b: stream, chunk: len(stream), err: io.EOF}, 100_000, 0)
	testkit.WantExactly(t, err, io.EOF)
	testkit.Equal(t, len(want), 23)
	testkit.Equal(t, want[12], "12 oversized 300000")
	testkit.Equal(t, want[10], "10 data 10 70000 07070707070707070707 70000")
	for _, chunk := range []int{1, 2, 3, 7, 10, 11, 100, 4096, 8192, 40_000} {
		for _, like := range []int{0, maxLikely} {
			got, err := received(&chunkConn{b: stream, chunk: chunk, err: io.EOF}, 100_000, like)
			testkit.WantExactly(t, err, io.EOF)
			testkit.Equal(t, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// A stream that ends at any of its bytes: between frames that is io.EOF, and else it is not.
func TestRecvOfEveryPrefix(t *testing.T) {
	var stream []byte
	whole := map[int]int{0: 0} // frames by length
	for i, size := range []int{0, 20, 5, 200} {
		stream = append(stream, testkit.Frame{ID: uint32(i), Type: 3, Data: make([]byte, size)}.Bytes()...)
		whole[len(stream)] = i + 1
	}
	for n := range len(stream) + 1 {
		for _, chunk := range []int{1, 1000} {
			got, err := received(&chunkConn{b: stream[:n], chunk: chunk, err: io.EOF}, 100, 0)
			if frames, ok := whole[n]; ok {
				testkit.Equal(t, len(got), frames)
				testkit.WantExactly(t, err, io.EOF)
			} else {
				testkit.WantExactly(t, err, io.ErrUnexpectedEOF)
			}
		}
	}
	broken := errors.New("broken")
	_, err := received(&chunkConn{b: stream[:15], chunk: 1, err: broken}, 100, 0)
	testkit.WantExactly(t, err, broken)
}

// A frame gets a buffer as it arrives, and not before.
func TestRecvGrowsItsBuffer(t *testing.T) {
	f := testkit.Frame{ID: 1, Type: 3, Data: make([]byte, 4<<20)}
	conn := &chunkConn{b: f.Bytes(), chunk: 10_000}
	tr := newTransport(t, conn, Config{})
	tr.reader.kind = kindBytes // as for a socket
	for {
		if in := tr.Buffered(); in != nil {
			testkit.Equal(t, len(in.Data()), 4<<20)
			break
		}
		testkit.Check(t, tr.fill(nil, true))
		// Four times what has come, and the next size of buffers.
		if p := tr.part; p != nil && p.Cap() > 80<<10 && p.Cap() > 8*p.Len() {
			t.Fatalf("%d bytes have arrived in a buffer of %d", p.Len(), p.Cap())
		}
	}
	tr.Discard()
}

// A large frame behind one of its size takes one read, and is not copied; what comes instead of it
// is read as ever.
func TestRecvOfFramesAlike(t *testing.T) {
	a, b := testkit.Pair(t, "unix")
	tr, gate := newTransport(t, a, Config{}), newGate()
	if !tr.CanTry() {
		t.Skip("no descriptors to try here")
	}
	next := func(size int, reads uint, whole bool) {
		t.Helper()
		_, err := b.Write(testkit.Frame{ID: 1, Type: 3, Data: make([]byte, size)}.Bytes())
		testkit.Check(t, err)
		before := tr.finds
		in, err := tr.Recv(gate, true)
		testkit.Check(t, err)
		testkit.Equal(t, len(in.Data()), size)
		testkit.Equal(t, in.Whole(), whole)
		testkit.Equal(t, tr.finds-before, reads)
		testkit.Equal(t, tr.Buffered(), nil)
	}
	next(40_000, 2, true)
	next(40_000, 1, true)
	next(40_000, 1, true)
	next(50_000, 2, true)
	next(50_000, 1, true)
	next(100, 1, false)
	next(100_000, 3, true) // none so large has come before
	next(40_000, 1, false) // it would hold more than twice of what it needs
	next(50_000, 2, true)
	next(maxLikely, 2, true)
	next(maxLikely, 2, true) // larger than that with its header
}

func TestP54WaitingReaderHasNoBuffer(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		a, b := testkit.Pair(t, network)
		tr, gate := newTransport(t, a, Config{}), newGate()
		if !tr.CanTry() {
			t.Skip("no descriptors to wait on here")
		}
		_, err := b.Write(data(1, "abc").Bytes())
		testkit.Check(t, err)
		in, err := tr.Recv(gate, true)
		testkit.Check(t, err)
		testkit.Equal(t, string(in.Data()), "abc")
		wantNoBuffer := func() {
			recvUntilParked(t, tr, gate)
			if tr.buf != nil || tr.part != nil {
				t.Errorf("a buffer is kept while waiting behind %d bytes", tr.nhead)
			}
		}
		wantNoBuffer()
		_, err = b.Write(make([]byte, 3)) // a piece of a header
		testkit.Check(t, err)
		for tr.nhead < 3 { // it may take a moment to arrive
			wantNoBuffer()
		}
	}
}

// recvUntilParked has the reader wait in the poller, and then come back.
func recvUntilParked(t *testing.T, tr *Transport, gate *lockGate) {
	t.Helper()
	select {
	case <-gate.parked: // by a wait before
	default:
	}
	conn := tr.reader.conn
	testkit.Check(t, conn.SetReadDeadline(time.Time{}))
	returned := make(chan error, 1)
	go func() {
		_, err := tr.Recv(gate, true)
		returned <- err
	}()
	testkit.Wait(t, gate.parked, "the reader to be in the poller")
	testkit.Check(t, conn.SetReadDeadline(time.Now()))
	testkit.WantIs(t, testkit.Wait(t, returned, "Recv"), os.ErrDeadlineExceeded)
	tr.recvErr = nil // as if it had waited on
}
