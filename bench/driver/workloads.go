package driver

import (
	"context"
	"time"
)

var background = context.Background()

// long is a deadline that never comes in a run.
const long = time.Minute

// workloads are the named things that a client process can measure.
var workloads = map[string]func(*running) (Values, error){
	"unary":           func(r *running) (Values, error) { return r.unary(1, r.client.Echo) },
	"unary-deadline":  (*running).unaryDeadline,
	"unary-metadata":  (*running).unaryMetadata,
	"unary-2":         func(r *running) (Values, error) { return r.unary(2, r.client.Echo) },
	"unary-4":         func(r *running) (Values, error) { return r.unary(4, r.client.Echo) },
	"unary-64":        func(r *running) (Values, error) { return r.unary(64, r.client.Echo) },
	"unary-1000":      func(r *running) (Values, error) { return r.unary(1000, r.client.Echo) },
	"allocs":          func(r *running) (Values, error) { return r.allocations(r.client.Echo) },
	"allocs-deadline": (*running).allocationsDeadline,
	"allocs-metadata": (*running).allocationsMetadata,
	"blob-64k-1":      func(r *running) (Values, error) { return r.blob(64<<10, 1) },
	"blob-64k-8":      func(r *running) (Values, error) { return r.blob(64<<10, 8) },
	"blob-1m-1":       func(r *running) (Values, error) { return r.blob(1<<20, 1) },
	"blob-1m-8":       func(r *running) (Values, error) { return r.blob(1<<20, 8) },
	"chat":            (*running).chat,
	"feed-100":        func(r *running) (Values, error) { return r.feed(100) },
	"feed-64k":        func(r *running) (Values, error) { return r.feed(64 << 10) },
	"open-chat":       func(r *running) (Values, error) { return r.open(chatOnce) },
	"open-feed":       func(r *running) (Values, error) { return r.open(feedOnce) },
	"stuck":           (*running).stuck,
	"paused":          (*running).paused,
	"cancel":          (*running).cancel,
	"busy":            (*running).busy,
	"behind":          (*running).behind,
	"price":           (*running).price,
	"shim":            (*running).shim,
	"idle":            (*running).idle,
	"held":            (*running).held,
	"conns":           func(r *running) (Values, error) { return r.conns(r.Conns) },
	"conns-4":         func(r *running) (Values, error) { return r.conns(4) },
	"conns-20":        func(r *running) (Values, error) { return r.conns(20) },
	"hello":           (*running).hello,
}

// unary measures calls on the one connection.
func (r *running) unary(callers int, call func(context.Context) error) (Values, error) {
	o, err := load{callers: callers, call: call, warm: r.Warm, measure: r.Measure}.run(r.ctl)
	if err != nil {
		return nil, err
	}
	return Values{
		"p50": o.percentile(50), "p99": o.percentile(99), "cpu": o.cpuPerCall(), "rate": o.perSecond(),
	}, nil
}

func (r *running) unaryDeadline() (Values, error) {
	if r.peer.NoContext {
		return nil, ErrUnsupported
	}
	return r.unary(1, withDeadline(r.client.Echo))
}

func (r *running) allocationsDeadline() (Values, error) {
	if r.peer.NoContext {
		return nil, ErrUnsupported
	}
	return r.allocations(withDeadline(r.client.Echo))
}

func (r *running) unaryMetadata() (Values, error) {
	c, ok := r.client.(MetaEchoer)
	if !ok {
		return nil, ErrUnsupported
	}
	return r.unary(1, withDeadline(c.EchoMeta))
}

func (r *running) allocationsMetadata() (Values, error) {
	c, ok := r.client.(MetaEchoer)
	if !ok {
		return nil, ErrUnsupported
	}
	return r.allocations(withDeadline(c.EchoMeta))
}

// withDeadline gives each call a context of its own, as a caller does.
func withDeadline(call func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, long)
		defer cancel()
		return call(ctx)
	}
}

// allocations counts what both processes allocate over many calls; a tenth as many come first.
func (r *running) allocations(call func(context.Context) error) (Values, error) {
	if err := repeat(r.Calls/10, call); err != nil {
		return nil, err
	}
	before, err := r.ctl.both(question{})
	if err != nil {
		return nil, err
	}
	if err := repeat(r.Calls, call); err != nil {
		return nil, err
	}
	after, err := r.ctl.both(question{})
	if err != nil {
		return nil, err
	}
	used, calls := after.since(before), float64(r.Calls)
	return Values{
		"client": float64(used.client.Mallocs) / calls, "server": float64(used.server.Mallocs) / calls,
	}, nil
}

func repeat(n int, call func(context.Context) error) error {
	for range n {
		if err := call(background); err != nil {
			return err
		}
	}
	return nil
}

// blob measures echoes of a body; a MB is 10^6 bytes and a body counts once, though it travels both
// ways.
func (r *running) blob(size, callers int) (Values, error) {
	c, ok := r.client.(BlobEchoer)
	if !ok {
		return nil, ErrUnsupported
	}
	body := make([]byte, size)
	echo := func(ctx context.Context) error { return c.EchoBlob(ctx, body) }
	o, err := load{callers: callers, call: echo, warm: r.Warm, measure: r.Measure}.run(r.ctl)
	if err != nil {
		return nil, err
	}
	peak := o.used.client.PeakRSS + o.used.server.PeakRSS
	return Values{"rate": o.perSecond() * float64(size) / 1e6, "peak": peak / 1024}, nil
}
