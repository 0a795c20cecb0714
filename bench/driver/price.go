package driver

import (
	"errors"
	"math"
	"time"
)

// pairs is how often the two connections take turns.
const pairs = 5

// price compares a connection that has extensions with one that has none, in the same processes and
// in turns. Each figure is the first one's by the second one's; allocations are the difference.
func (r *running) price() (Values, error) {
	if r.peer.DialPlain == nil {
		return nil, ErrUnsupported
	}
	plain, err := r.peer.DialPlain(r.address)
	if err != nil {
		return nil, err
	}
	if err := plain.Echo(background); err != nil {
		return nil, err
	}
	if !r.peer.Extended(r.client) || r.peer.Extended(plain) {
		return nil, errors.New("the connections are not one with extensions and one without")
	}
	values := Values{}
	for name, callers := range map[string]int{"lone": 1, "64": 64} {
		if values[name], err = r.compare(r.client, plain, callers); err != nil {
			return nil, err
		}
	}
	with, err := r.allocations(r.client.Echo)
	if err != nil {
		return nil, err
	}
	without, err := r.allocations(plain.Echo)
	for _, side := range []string{"client", "server"} {
		// A hundredth of an allocation is the runtime's; adding 0 makes 0 of -0.
		values[side] = math.Round((with[side]-without[side])*10)/10 + 0
	}
	if err != nil {
		return nil, err
	}
	without, err = r.on(plain).cancel() // which tells the server nothing
	values["returned"] = without["returned-p50"]
	return values, err
}

// on is the same job with another connection.
func (r *running) on(c Client) *running {
	other := *r
	other.client = c
	return &other
}

// compare returns the median of the pairs' ratios: of p50 with one caller, else of the time a call.
func (r *running) compare(a, b Client, callers int) (float64, error) {
	var ratios []float64
	for i := range pairs {
		first, second := a, b
		if i%2 == 1 {
			first, second = b, a
		}
		x, err := r.brief(first, callers)
		if err != nil {
			return 0, err
		}
		y, err := r.brief(second, callers)
		if err != nil {
			return 0, err
		}
		if i%2 == 1 {
			x, y = y, x
		}
		ratios = append(ratios, x/y)
	}
	return median(ratios), nil
}

// brief measures one connection for a part of the time.
func (r *running) brief(c Client, callers int) (float64, error) {
	l := load{callers: callers, call: c.Echo, warm: r.Warm / pairs, measure: max(r.Measure/pairs, time.Millisecond)}
	o, err := l.run(r.ctl)
	if err != nil {
		return 0, err
	}
	if callers == 1 {
		return o.percentile(50), nil
	}
	return 1 / o.perSecond(), nil
}
