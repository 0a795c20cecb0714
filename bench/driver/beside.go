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

// behind measures a quick call that is made right behind one whose handler computes.
func (r *running) behind() (Values, error) {
	c, ok := r.client.(Computer)
	if !ok {
		return nil, ErrUnsupported
	}
	var calls []interval
	warm := 0
	for began := time.Now(); time.Since(began) < r.Warm+2*r.Measure || len(calls) < warm+fewest; {
		call, err := r.behindOne(c)
		if err != nil {
			return nil, err
		}
		calls = append(calls, call)
		if time.Since(began) < r.Warm {
			warm = len(calls)
		}
	}
	a, err := r.ctl.ask(question{Times: true})
	if err != nil {
		return nil, err
	}
	times, err := overlapping(calls, a.Computed)
	if err != nil {
		return nil, err
	}
	values := Values{}
	values.percentiles("quick", times[min(warm, len(times)-1):])
	return values, nil
}

// interval is one quick call, by monotonic.
type interval struct{ began, ended time.Duration }

// behindOne makes the long call and, as soon as that has had its turn to be sent, the quick one.
func (r *running) behindOne(c Computer) (quick interval, err error) {
	long := make(chan error, 1)
	go func() {
		began := monotonic()
		err := c.Compute(background)
		if took := monotonic() - began; err == nil && took < computing {
			err = fmt.Errorf("a handler that computes for %v has answered after %v", computing, took)
		}
		long <- err
	}()
	runtime.Gosched()
	quick.began = monotonic()
	err = r.client.Echo(background)
	quick.ended = monotonic()
	return quick, errors.Join(err, <-long)
}

// overlapping returns the times of the quick calls that had not overtaken the long one: its handler
// had begun before they were answered.
func overlapping(calls []interval, computed []time.Duration) (times []time.Duration, err error) {
	if len(computed) != len(calls) {
		return nil, fmt.Errorf("%d handlers computed for %d calls", len(computed), len(calls))
	}
	for i, c := range calls {
		if computed[i] < c.ended {
			times = append(times, c.ended-c.began)
		}
	}
	if len(times) < len(calls)/2 {
		err = fmt.Errorf("%d of %d quick calls came before the long ones", len(calls)-len(times), len(calls))
	}
	return times, err
}
