package driver

import (
	"errors"
	"math"
	"time"
)

// turns is how often each of the two connections has one.
const turns = 8

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

// compare returns the ratio of the least p50 with one caller, else of the least time a call. The
// least is what a connection can do: a turn may have a processor less, and p50 with it is another.
func (r *running) compare(a, b Client, callers int) (float64, error) {
	least := map[Client]float64{a: math.Inf(1), b: math.Inf(1)}
	for i := range 2 * turns {
		c := a
		if i%4 == 1 || i%4 == 2 { // a b b a: each is as often the first
			c = b
		}
		took, err := r.brief(c, callers)
		if err != nil {
			return 0, err
		}
		least[c] = min(least[c], took)
	}
	return least[a] / least[b], nil
}

// brief measures one connection for a part of the time.
func (r *running) brief(c Client, callers int) (float64, error) {
	l := load{callers: callers, call: c.Echo, warm: r.Warm / 4, measure: max(r.Measure/4, time.Millisecond)}
	o, err := l.run(r.ctl)
	if err != nil {
		return 0, err
	}
	if callers == 1 {
		return o.percentile(50), nil
	}
	return 1 / o.perSecond(), nil
}
