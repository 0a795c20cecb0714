package driver

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 101 {
		hundred = append(hundred, time.Duration(i))
	}
	for _, p := range []int{0, 50, 99, 100} {
		if got := percentile(hundred, p); got != time.Duration(p) {
			t.Errorf("percentile %d is %d", p, got)
		}
	}
	if got := percentile([]time.Duration{7}, 99); got != 7 {
		t.Errorf("the only value is 7, not %d", got)
	}
	if got := percentile([]time.Duration{7, 8}, 99); got != 8 {
		t.Errorf("the worst of two is 8, not %d", got)
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 9: {9}} {
		if got := median(values); got != want {
			t.Errorf("median of %v is %v", values, got)
		}
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		gone := make(chan struct{}, 3)
		for range 3 {
			go func() { g.hold(); gone <- struct{}{} }()
		}
		g.waitFor(3)
		synctest.Wait()
		if len(gone) != 0 {
			t.Errorf("%d calls went before their release", len(gone))
		}
		g.release()
		for range 3 {
			<-gone
		}
	})
}

// TestLoadCountsWholeCalls has one caller whose calls take exactly 10 ms.
func TestLoadCountsWholeCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := func(context.Context) error { return pass(context.Background(), 10*time.Millisecond) }
		l := load{callers: 2, call: call, warm: 95 * time.Millisecond, measure: time.Second}
		var o outcome
		o, err := l.run(nobody{})
		if err != nil {
			t.Fatal(err)
		}
		// Each caller's first whole call begins at 100 ms and its last one ends at 1090 ms, of 1095.
		if len(o.latencies) != 2*99 || o.percentile(50) != 10000 || o.elapsed != time.Second {
			t.Errorf("%d calls, p50 %v µs in %v", len(o.latencies), o.percentile(50), o.elapsed)
		}
	})
}

// TestLoadWaitsForSlowCalls has calls that take longer than the time to measure.
func TestLoadWaitsForSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := func(context.Context) error { return pass(context.Background(), time.Minute) }
		l := load{callers: 1, call: call, warm: time.Millisecond, measure: time.Second}
		o, err := l.run(nobody{})
		if err != nil || len(o.latencies) != fewest || o.elapsed <= fewest*time.Minute {
			t.Errorf("%d calls in %v, %v, want %d", len(o.latencies), o.elapsed, err, fewest)
		}
	})
}

func TestLoadEndsWithAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		l := load{callers: 3, call: func(context.Context) error { return broken }, warm: time.Hour, measure: time.Hour}
		began := time.Now()
		if _, err := l.run(nobody{}); !errors.Is(err, broken) || time.Since(began) != 0 {
			t.Errorf("%v after %v, want the call's error at once", err, time.Since(began))
		}
	})
}

// slow is a client whose calls take 10 ms each.
type slow struct{}

func (slow) Echo(ctx context.Context) error { return pass(ctx, 10*time.Millisecond) }
func (slow) Close() error                   { return nil }

// TestCallsPerSecond has three connections, on which calls are made at the same time.
func TestCallsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := []Client{slow{}, slow{}, slow{}}
		for d, calls := range map[time.Duration]int{0: 1, 95 * time.Millisecond: 10} {
			began := time.Now()
			rate, err := callsPerSecond(clients, d)
			if err != nil || rate != 300 || time.Since(began) != time.Duration(calls)*10*time.Millisecond {
				t.Errorf("%v calls/s in %v, %v, want 300 by %d calls on each", rate, time.Since(began), err, calls)
			}
		}
	})
}

// nobody is a server that uses nothing.
type nobody struct{}

func (nobody) both(question) (counted, error) { return counted{}, nil }

func TestFeedLengthGrows(t *testing.T) {
	if got := next(100, time.Millisecond, time.Second); got != 1600 {
		t.Errorf("a feed far too short grows to %d, want sixteen times 100", got)
	}
	if got := next(100, 500*time.Millisecond, time.Second); got != 240 {
		t.Errorf("a feed of half the time grows to %d, want 2.4 times 100", got)
	}
}

// TestAwaitIsNoted has two handlers, one of which sees its context end.
func TestAwaitIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNotes()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = n.await(ctx) }()
		go func() { _ = n.await(t.Context()) }()
		began := time.Now()
		n.waitFor(2, 0, time.Hour)
		cancel()
		n.waitFor(2, 1, time.Hour)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v for what had come", waited)
		}
		n.waitFor(2, 2, time.Second)
		if begun, noted := n.counts(); begun != 2 || noted != 1 || time.Since(began) != time.Second {
			t.Errorf("%d have begun and %d have ended after %v, want 2 and 1 after 1s", begun, noted, time.Since(began))
		}
	})
}

func TestMonotonic(t *testing.T) {
	before, first := time.Now(), monotonic()
	inner := time.Now()
	for time.Since(inner) < time.Millisecond {
		compute(1000)
	}
	if d, most := monotonic()-first, time.Since(before); d < time.Millisecond || d > most {
		t.Errorf("%v have passed, want 1ms to %v", d, most)
	}
}

type feedOf []int

func (f *feedOf) Next() (int, error) {
	if len(*f) == 0 {
		return 0, io.EOF
	}
	n := (*f)[0]
	*f = (*f)[1:]
	return n, nil
}

func TestReadAll(t *testing.T) {
	if got, err := readAll(&feedOf{5, 5}, 5); got != 2 || err != nil {
		t.Errorf("%d messages, %v", got, err)
	}
	if _, err := readAll(&feedOf{5, 4}, 5); !errors.Is(err, errWrongSize) {
		t.Errorf("%v for a message of another size", err)
	}
}

func TestReadProc(t *testing.T) {
	if v, err := readProc("/proc/self/status", "VmRSS"); err != nil || v <= 0 {
		t.Errorf("VmRSS %v, %v", v, err)
	}
	if _, err := readProc("/proc/self/status", "NoSuchName"); err == nil {
		t.Error("a name that is not there was found")
	}
}

func TestUnknownWorkload(t *testing.T) {
	if err := measure(Peer{}, "unused", `{"Workload":"no such thing"}`); err == nil {
		t.Error("an unknown workload ran")
	}
}
