package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	settled     = time.Millisecond       // from the handler's beginning to the cancelling
	untold      = 200 * time.Millisecond // a handler that has noticed nothing by then never will
	fewestGiven = 100                    // cancelled calls at least, where handlers notice it
)

// cancelling gives up calls whose handlers wait for their contexts, one after the other.
type cancelling struct {
	*running
	begun    int             // calls that have been made
	told     bool            // the server's handlers notice it
	cancels  []time.Duration // when each was cancelled, by monotonic
	returned []time.Duration // how long each took to return from then on
}

// cancel measures how long it takes from cancelling a call's context to its caller's return, and
// until its handler's context ends. A peer that does not tell its server has the first alone.
func (r *running) cancel() (Values, error) {
	if _, ok := r.client.(Awaiter); !ok {
		return nil, ErrUnsupported
	}
	c := &cancelling{running: r}
	if err := c.probe(); err != nil {
		return nil, err
	}
	for began := time.Now(); time.Since(began) < 2*r.Measure || c.begun < fewestGiven; {
		if err := c.once(); err != nil {
			return nil, err
		}
	}
	return c.values()
}

// probe cancels one call and finds out whether its handler notices it.
func (c *cancelling) probe() error {
	if err := c.once(); err != nil {
		return err
	}
	a, err := c.ctl.ask(question{Ended: 1, Patience: untold})
	c.told = a.Ended == 1
	return err
}

// once makes a call, cancels it when its handler waits, and sees to it that the connection works.
func (c *cancelling) once() error {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	type end struct {
		at  time.Duration
		err error
	}
	ended := make(chan end, 1)
	go func() {
		err := c.client.(Awaiter).Await(ctx)
		ended <- end{monotonic(), err}
	}()
	c.begun++
	if a, err := c.ctl.ask(question{Begun: c.begun, Patience: patience}); err != nil || a.Begun != c.begun {
		return fmt.Errorf("%d handlers began, want %d: %w", a.Begun, c.begun, err)
	}
	if err := pass(background, settled); err != nil {
		return err
	}
	at := monotonic()
	cancel()
	e := <-ended
	if e.err == nil {
		return errors.New("a cancelled call was answered")
	}
	c.cancels, c.returned = append(c.cancels, at), append(c.returned, e.at-at)
	return c.recover()
}

// recover waits for the handler's end, if it comes, and connects anew where the peer has closed the
// connection.
func (c *cancelling) recover() error {
	if c.told {
		if a, err := c.ctl.ask(question{Ended: c.begun, Patience: patience}); err != nil || a.Ended != c.begun {
			return fmt.Errorf("%d of %d handlers saw their contexts end: %w", a.Ended, c.begun, err)
		}
	}
	if _, err := c.patiently(); err == nil {
		return nil
	}
	_ = c.client.Close() // the peer has closed it already, in its way
	var err error
	c.client, err = c.dial()
	return err
}

func (c *cancelling) values() (Values, error) {
	a, err := c.ctl.ask(question{Times: true})
	if err != nil {
		return nil, err
	}
	values := Values{}
	values.percentiles("returned", c.returned)
	if !c.told {
		if len(a.Awaited) > 0 {
			return nil, fmt.Errorf("%d handlers noticed after all", len(a.Awaited))
		}
		return values, nil
	}
	var seen []time.Duration
	for i, at := range c.cancels {
		if a.Awaited[i] < at {
			return nil, errors.New("a handler's context ended before it was cancelled")
		}
		seen = append(seen, a.Awaited[i]-at)
	}
	values.percentiles("seen", seen)
	return values, nil
}

// percentiles adds p50 and p99 in microseconds.
func (v Values) percentiles(name string, times []time.Duration) {
	slices.Sort(times)
	v[name+"-p50"] = microseconds(percentile(times, 50))
	v[name+"-p99"] = microseconds(percentile(times, 99))
}
