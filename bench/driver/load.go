package driver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is many callers that each call again as soon as the last call has returned.
type load struct {
	callers       int
	call          func(ctx context.Context) error
	warm, measure time.Duration
}

// outcome is what was measured between the end of the warm-up and the end of the run.
type outcome struct {
	latencies []time.Duration // sorted
	elapsed   time.Duration
	used      counted
}

// looker takes both processes' usage.
type looker interface {
	both(question) (counted, error)
}

const (
	warming int32 = iota
	measuring
	stopped
)

// fewest is how many calls are measured at least, however long they take.
const fewest = 20

// progress is what the callers of a load and the one who measures share.
type progress struct {
	phase  atomic.Int32
	count  atomic.Int64  // of measured calls
	enough chan struct{} // closed with the last of the fewest
}

// run counts the calls that began and ended while it measured.
func (l load) run(look looker) (outcome, error) {
	ctx, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	p := &progress{enough: make(chan struct{})}
	var callers sync.WaitGroup
	samples := make([][]time.Duration, l.callers)
	for i := range samples {
		callers.Go(func() {
			var err error
			if samples[i], err = l.loop(p); err != nil {
				fail(err)
			}
		})
	}
	var o outcome
	err := errors.Join(pass(ctx, l.warm), o.during(ctx, look, p, l.measure))
	callers.Wait()
	o.latencies = slices.Concat(samples...)
	slices.Sort(o.latencies)
	return o, err
}

// during measures for so long, or until there are enough calls.
func (o *outcome) during(ctx context.Context, look looker, p *progress, d time.Duration) error {
	defer p.phase.Store(stopped)
	before, err := look.both(question{})
	if err != nil {
		return err
	}
	began := time.Now()
	p.phase.Store(measuring)
	if err := pass(ctx, d); err != nil {
		return err
	}
	select {
	case <-p.enough:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.phase.Store(stopped)
	o.elapsed = time.Since(began)
	after, err := look.both(question{})
	o.used = after.since(before)
	return err
}

func (l load) loop(p *progress) ([]time.Duration, error) {
	latencies := make([]time.Duration, 0, max(1024, (1<<18)/l.callers))
	last := time.Now()
	for {
		counts := p.phase.Load() == measuring
		if err := l.call(context.Background()); err != nil {
			return latencies, err
		}
		now := time.Now()
		switch p.phase.Load() {
		case measuring:
			if counts {
				latencies = append(latencies, now.Sub(last))
				if p.count.Add(1) == fewest {
					close(p.enough)
				}
			}
		case stopped:
			return latencies, nil
		}
		last = now
	}
}

// pass lets time go by, unless ctx ends, whose cause it returns.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (o outcome) percentile(p int) float64 { return microseconds(percentile(o.latencies, p)) }

func (o outcome) perSecond() float64 { return float64(len(o.latencies)) / o.elapsed.Seconds() }

func (o outcome) cpuPerCall() float64 {
	return microseconds(o.used.client.CPU+o.used.server.CPU) / float64(len(o.latencies))
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// percentile expects sorted values. It is the least one that p % of them do not exceed, so that
// the worst of few counts.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}
