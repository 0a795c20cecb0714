package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/containerd/ttrpc"
)

// pingFlags are those of the command ping.
type pingFlags struct {
	connectFlags
	n        int
	interval time.Duration
}

func pingCommand() command {
	return command{
		name: "ping", args: "ADDRESS", short: "measure how soon a server answers",
		long: `A ping is a call of a service that no server has: any server of any release answers it, and takes
no harm. The first one connects before its time is measured.`,
		examples: []string{"ttrpc ping /run/x.sock", "ttrpc ping vsock:3:1024 -n 10 -interval 100ms"},
		setup: func(fs *flag.FlagSet) action {
			p := new(pingFlags)
			p.connectFlags.declare(fs)
			p.n, p.interval = 1, time.Second
			fs.Var((*count)(&p.n), "n", "ping `N` times; 0 is until it is interrupted")
			fs.Var((*span)(&p.interval), "interval", "the `TIME` between two pings")
			return p.run
		},
	}
}

func (f *pingFlags) run(ctx context.Context, args []string, std stdio) error {
	if len(args) == 0 {
		return usagef("ping needs an address; ttrpc ping -help has examples")
	}
	if f.interval == 0 {
		return usagef("ping: -interval has to be above 0")
	}
	ctx, p, err := f.dial(ctx, args[0], false)
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := f.once(ctx, p); err != nil { // connects
		return err
	}
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		took, err := f.once(ctx, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(std.out, "%s answers: time=%v\n", p.address, took.Round(time.Microsecond))
		if n == f.n {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// once pings, and returns how long it took.
func (f *pingFlags) once(ctx context.Context, p *peer) (time.Duration, error) {
	limit := f.limit()
	ctx, cancel := within(ctx, limit)
	defer cancel()
	start := time.Now()
	err := p.client.Call(ctx, "-", "-", new(emptypb.Empty), new(emptypb.Empty))
	if !isRefusal(ttrpc.StatusOf(err).Code()) {
		err = p.explain(err, "a ping", limit)
		return 0, callError(err, plainJSON)
	}
	return time.Since(start), nil
}

// isRefusal reports whether a server says by this code that it has no such service: Unimplemented
// since v1.1, NotFound before, and InvalidArgument in the Rust crate.
func isRefusal(c codes.Code) bool {
	return c == codes.Unimplemented || c == codes.NotFound || c == codes.InvalidArgument
}
