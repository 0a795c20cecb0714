//go:build go1.25

package pipe

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestBytesArriveWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		sent := make([]byte, 300<<10)
		for i := range sent {
			sent[i] = byte(r.Uint32())
		}
		delays := rand.New(rand.NewPCG(3, 4))
		a, b := New(Options{
			Capacity: 777,
			Chunk:    func() int { return 1 + r.IntN(100) },
			Delay:    func() time.Duration { return time.Duration(delays.IntN(1000)) },
			Faults:   []Fault{{At: 1000, Kind: Stall, For: time.Hour}, {At: 1000, Kind: Stall, For: time.Minute}},
		}, Options{})
		begin := time.Now()
		go func() {
			_, _ = a.Write(sent)
			_ = a.CloseWrite()
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatal("not what was written", len(got), err)
		}
		if d := time.Since(begin); d < time.Hour || d > time.Hour+time.Minute {
			t.Fatal("stalled for", d)
		}
	})
}

func TestEnds(t *testing.T) {
	type result struct {
		n   int
		err error
	}
	for _, tc := range []struct {
		name          string
		fault         Fault
		write, read   result
		backWrite     error
		readAfterward error
	}{
		{"cut", Fault{At: 5, Kind: Cut}, result{5, syscall.EPIPE}, result{5, nil}, nil, io.EOF},
		{"cut both", Fault{At: 5, Kind: CutEnd}, result{5, syscall.EPIPE}, result{5, nil}, syscall.EPIPE, io.EOF},
		{
			"reset", Fault{At: 5, Kind: Reset}, result{5, syscall.ECONNRESET}, result{0, syscall.ECONNRESET},
			syscall.ECONNRESET, syscall.ECONNRESET,
		},
		{"at the start", Fault{At: 0, Kind: Cut}, result{0, syscall.EPIPE}, result{0, io.EOF}, nil, io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := New(Options{Faults: []Fault{tc.fault}}, Options{})
			n, err := a.Write(make([]byte, 10))
			if n != tc.write.n || !errors.Is(err, tc.write.err) {
				t.Error("write:", n, err)
			}
			buf := make([]byte, 20)
			n, err = b.Read(buf)
			if n != tc.read.n || err != tc.read.err {
				t.Error("read:", n, err)
			}
			if _, err := b.Write(buf[:1]); err != tc.backWrite {
				t.Error("write back:", err)
			}
			if _, err := b.Read(buf); err != tc.readAfterward {
				t.Error("read again:", err)
			}
		})
	}
}

func TestStuckForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := New(Options{Faults: []Fault{{At: 3, Kind: Stall}}}, Options{})
		if n, err := a.Write(make([]byte, 10)); n != 10 || err != nil {
			t.Fatal(n, err)
		}
		buf := make([]byte, 20)
		if n, err := b.Read(buf); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		_ = b.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := b.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := New(Options{Capacity: 1}, Options{})
		_ = a.SetDeadline(time.Now().Add(time.Second))
		if n, err := a.Write([]byte("xy")); n != 1 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(n, err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		_ = a.SetDeadline(time.Time{})
		time.AfterFunc(time.Minute, func() { _, _ = b.Write([]byte("z")) })
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Error(n, err)
		}
		time.AfterFunc(time.Minute, func() { _ = a.SetReadDeadline(time.Unix(1, 0)) })
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := New(Options{}, Options{})
		_, _ = a.Write([]byte("last"))
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
		synctest.Wait()
		if a.Close() != nil || a.Close() == nil || !a.Closed() {
			t.Error("closing twice")
		}
		wg.Wait()
		if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
			t.Error(string(got), err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
		if err := a.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestListener(t *testing.T) {
	l := Listen()
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
		}
	}()
	c, err := l.Dial(Options{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte("echo"))
	_ = c.CloseWrite()
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "echo" {
		t.Error(string(got), err)
	}
	_ = c.Close()
	_ = l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := l.Dial(Options{}, Options{}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// The same seed gives the same faults.
func TestRandomRepeats(t *testing.T) {
	for seed := range uint64(100) {
		_, first := Random(rand.New(rand.NewPCG(seed, 0)), 1000)
		_, second := Random(rand.New(rand.NewPCG(seed, 0)), 1000)
		if first != second {
			t.Fatal(first, second)
		}
	}
}
