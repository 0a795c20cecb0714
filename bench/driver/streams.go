package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

func (r *running) streamer() (Streamer, error) {
	s, ok := r.client.(Streamer)
	if !ok {
		return nil, ErrUnsupported
	}
	return s, nil
}

// chat measures a ping-pong on one stream: its latency, then the allocations of a pair.
func (r *running) chat() (Values, error) {
	s, err := r.streamer()
	if err != nil {
		return nil, err
	}
	chat, err := s.Chat(background)
	if err != nil {
		return nil, err
	}
	return r.latencyAndAllocations(func(context.Context) error { return chat.Ping() })
}

// open measures short streams: each one is opened, carries one message, and ends.
func (r *running) open(once func(Streamer) error) (Values, error) {
	s, err := r.streamer()
	if err != nil {
		return nil, err
	}
	return r.latencyAndAllocations(func(context.Context) error { return once(s) })
}

func (r *running) latencyAndAllocations(call func(context.Context) error) (Values, error) {
	values, err := r.unary(1, call)
	if err != nil {
		return nil, err
	}
	allocs, err := r.allocations(call)
	if err != nil {
		return nil, err
	}
	values["client"], values["server"] = allocs["client"], allocs["server"]
	return values, nil
}

// chatOnce sends one message, receives its echo, closes and receives the end.
func chatOnce(s Streamer) error {
	chat, err := s.Chat(background)
	if err != nil {
		return err
	}
	if err := chat.Ping(); err != nil {
		return err
	}
	return chat.Finish()
}

// feedOnce receives one message and the end.
func feedOnce(s Streamer) error { return drain(s, 1, 100) }

// feed measures one long server stream, as long as a first, shorter one promises to fill the time.
func (r *running) feed(size int) (Values, error) {
	s, err := r.streamer()
	if err != nil {
		return nil, err
	}
	count := 200
	for {
		began := time.Now()
		if err := drain(s, count, size); err != nil {
			return nil, err
		}
		took := time.Since(began)
		if took >= r.Measure {
			rate := float64(count) / took.Seconds()
			return Values{"rate": rate, "bytes": rate * float64(size) / 1e6}, nil
		}
		count = next(count, took, r.Measure)
	}
}

// next is the count that takes a little longer than want, at most sixteen times the last one.
func next(count int, took, want time.Duration) int {
	factor := 1.2 * want.Seconds() / took.Seconds()
	return int(float64(count) * min(factor, 16))
}

func drain(s Streamer, count, size int) error {
	feed, err := s.Feed(background, count, size)
	if err != nil {
		return err
	}
	for got := 0; ; got++ {
		n, err := feed.Next()
		switch {
		case errors.Is(err, io.EOF) && got == count:
			return nil
		case err != nil:
			return fmt.Errorf("after %d of %d messages: %w", got, count, err)
		case n != size:
			return fmt.Errorf("a message of %d bytes, want %d", n, size)
		}
	}
}

// A stuck stream has so long to become stuck: its buffers fill, and a peer may give it up. Then it
// is measured as long as any load.
const (
	settling = 1500 * time.Millisecond
	patience = 2 * time.Second // of a call beside it
)

// stuck makes unary calls, one at a time, beside a server stream on the same connection that is
// never read and whose server sends without end.
func (r *running) stuck() (Values, error) {
	s, err := r.streamer()
	if err != nil || r.peer.Serial {
		return nil, ErrUnsupported
	}
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	// Opening may hang as well; the calls beside it tell.
	go func() { _, _ = s.Feed(ctx, 1<<40, 1000) }()
	filling, failedFilling := r.beside(settling)
	stuck, failed := r.beside(r.Measure)
	failures := float64(failedFilling+failed) / float64(len(filling)+len(stuck))
	return Values{
		"failures": failures * 100,
		"p99":      microseconds(percentile(stuck, 99)),
		"filling":  microseconds(percentile(filling, 100)) / 1000,
	}, nil
}

// beside calls for so long, and returns the sorted times of all calls, and how many failed.
func (r *running) beside(d time.Duration) (latencies []time.Duration, failures int) {
	for began := time.Now(); time.Since(began) < d; {
		took, err := r.patiently()
		if err != nil {
			failures++
		}
		latencies = append(latencies, took)
	}
	slices.Sort(latencies)
	return latencies, failures
}

func (r *running) patiently() (time.Duration, error) {
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	began := time.Now()
	err := r.client.Echo(ctx)
	return time.Since(began), err
}
