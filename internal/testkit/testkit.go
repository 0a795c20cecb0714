// Package testkit has what the tests of several packages need: connections, frames made by hand,
// and waiting. Programs do not link it.
package testkit

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Frame is a frame made by hand. It is plain data.
type Frame struct {
	ID          uint32
	Type, Flags byte
	Data        []byte
	Claim       uint32 // the length that its header says, if not zero
}

// Bytes is the frame as it is on the wire.
func (f Frame) Bytes() []byte {
	length := uint32(len(f.Data))
	if f.Claim != 0 {
		length = f.Claim
	}
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, f.ID)
	return append(append(b, f.Type, f.Flags), f.Data...)
}

// Data is a Data frame on the wire.
func Data(id uint32, data string) []byte { return Frame{ID: id, Type: 3, Data: []byte(data)}.Bytes() }

// Pair returns both ends of a connection ("unix", "unixpacket", "tcp" or "pipe"), closed with the
// test.
func Pair(t testing.TB, network string) (a, b net.Conn) {
	t.Helper()
	if network == "pipe" {
		a, b = net.Pipe()
	} else {
		a, b = dialled(t, network)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func dialled(t testing.TB, network string) (a, b net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network != "tcp" {
		dir, err := os.MkdirTemp("", "t") // a short name, for a socket's address
		Check(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		addr = filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, addr)
	Check(t, err)
	defer l.Close()
	a, err = net.Dial(network, l.Addr().String())
	Check(t, err)
	b, err = l.Accept()
	Check(t, err)
	return a, b
}

// Check ends the test where there is an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Equal ends the test where two values are not the same.
func Equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// WantIs ends the test where an error is not what errors.Is finds in it.
func WantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %v", err, target)
	}
}

// WantExactly ends the test where an error is not that one itself.
func WantExactly(t testing.TB, err, want error) {
	t.Helper()
	if err != want {
		t.Fatalf("got error %v (%T), want exactly %v", err, err, want)
	}
}

// Wait waits for a channel, for a long time at most.
func Wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}

// Eventually waits for something that has no event of its own.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
