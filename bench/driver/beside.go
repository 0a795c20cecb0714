package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// paused measures unary calls beside a server stream on the same connection whose consumer makes a
// pause: it reads nothing while they are measured, and all of it afterwards.
func (r *running) paused() (Values, error) {
	s, err := r.streamer()
	if err != nil || r.peer.Serial {
		return nil, ErrUnsupported
	}
	const count, size = 20000, 1000 // more than what is between any two peers
	pause := 2 * r.Measure
	ctx, cancel := context.WithTimeout(background, pause+5*patience)
	defer cancel()
	feed, err := s.Feed(ctx, count, size)
	if err != nil {
		return nil, err
	}
	latencies, failed := r.beside(pause)
	got, err := readAll(feed, size)
	if err == nil && got != count {
		err = fmt.Errorf("the stream ended after %d of %d messages without an error", got, count)
	}
	if errors.Is(err, errWrongSize) || got == count && err != nil {
		return nil, err
	}
	values := Values{
		"failures": float64(failed) / float64(len(latencies)) * 100,
		"lost":     float64(count-got) / count * 100,
	}
	values.percentiles("beside", latencies)
	return values, nil
}

var errWrongSize = errors.New("a message of another size")

// readAll reads to the end, which may be an error, and counts the messages.
func readAll(feed Feed, size int) (got int, err error) {
	for {
		n, err := feed.Next()
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case err != nil:
			return got, err
		case n != size:
			return got, errWrongSize
		}
		got++
	}
}

// busy measures calls while as many goroutines as can run at once compute in either process.
func (r *running) busy() (Values, error) {
	computeForever(runtime.GOMAXPROCS(0))
	if _, err := r.ctl.ask(question{Busy: true}); err != nil {
		return nil, err
	}
	r.Measure *= 3 // a call may take as long as all the others' turns
	return r.unary(1, r.client.Echo)
}

// behind measures a quick call that is made while the handler of another one, on the same
// connection, computes.
func (r *running) behind() (Values, error) {
	c, ok := r.client.(Computer)
	if !ok {
		return nil, ErrUnsupported
	}
	var times []time.Duration
	began := time.Now()
	for calls := 1; time.Since(began) < r.Warm+2*r.Measure || len(times) < fewest; calls++ {
		took, counts, err := r.behindOne(c, calls)
		if err != nil {
			return nil, err
		}
		if counts && time.Since(began) >= r.Warm {
			times = append(times, took)
		}
	}
	values := Values{}
	values.percentiles("quick", times)
	return values, nil
}

// behindOne makes the long call, the nth one, and when its handler computes the quick one.
// That counts if it was made while half of the computing was still to be done.
func (r *running) behindOne(c Computer, n int) (took time.Duration, counts bool, err error) {
	long := make(chan error, 1)
	go func() {
		began := monotonic()
		err := c.Compute(background)
		if took := monotonic() - began; err == nil && took < computing {
			err = fmt.Errorf("a handler that computes for %v has answered after %v", computing, took)
		}
		long <- err
	}()
	a, err := r.ctl.ask(question{Computing: n, Patience: patience, Times: true})
	if err != nil || len(a.Computed) != n {
		return 0, false, fmt.Errorf("%d handlers have computed, want %d: %w", len(a.Computed), n, err)
	}
	began := monotonic()
	err = r.client.Echo(background)
	took = monotonic() - began
	return took, began < a.Computed[n-1]+computing/2, errors.Join(err, <-long)
}
