package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
	"github.com/containerd/ttrpc/health"
)

// healthFlags are those of the command health.
type healthFlags struct {
	connectFlags
	watch, list bool
}

func healthCommand() command {
	return command{
		name: "health", args: "ADDRESS [SERVICE]", short: "ask a server, or one of its services, how it does",
		long: "The server needs the service grpc.health.v1.Health. The exit code is 0 for SERVING, 78 for another\n" +
			"status, and as always where there is none: 69 for a service that it does not know.",
		examples: []string{"ttrpc health /run/x.sock", "ttrpc health /run/x.sock hello.Greeter -watch", "ttrpc health /run/x.sock -list"},
		setup: func(fs *flag.FlagSet) action {
			h := new(healthFlags)
			h.connectFlags.declare(fs)
			fs.BoolVar(&h.watch, "watch", false, "show each change, until it is interrupted")
			fs.BoolVar(&h.list, "list", false, "show all services that have a status")
			return h.run
		},
	}
}

func (h *healthFlags) run(ctx context.Context, args []string, std stdio) error {
	if len(args) == 0 {
		return usagef("health needs an address; ttrpc health -help has examples")
	}
	if h.watch && h.list {
		return usagef("health: -watch and -list can't be together; ttrpc health -help has examples")
	}
	ctx, p, err := h.dial(ctx, args[0], false)
	if err != nil {
		return err
	}
	defer p.close()
	service := ""
	if len(args) == 2 {
		service = args[1]
	}
	if h.watch {
		return h.watchAll(ctx, p, service, std)
	}
	ctx, cancel := within(ctx, h.limit())
	defer cancel()
	if h.list {
		err = listHealth(ctx, p, std)
	} else {
		err = checkHealth(ctx, p, service, std)
	}
	return h.failed(p, err)
}

func (h *healthFlags) failed(p *peer, err error) error {
	return callError(p.explain(absent(err, "grpc.health.v1.Health", ""), "how it does", h.limit()), plainJSON)
}

func checkHealth(ctx context.Context, p *peer, service string, std stdio) error {
	got, err := health.Check(ctx, p.client, service)
	if err != nil {
		return err
	}
	fmt.Fprintln(std.out, got)
	if got != health.Serving {
		return status.Errorf(codes.Unavailable, "the status of %q is %v", service, got)
	}
	return nil
}

func listHealth(ctx context.Context, p *peer, std stdio) error {
	all, err := health.List(ctx, p.client)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		shown := name
		if name == "" {
			shown = "(the server)"
		}
		fmt.Fprintf(std.out, "%-12v %s\n", all[name], shown)
	}
	return err
}

func (h *healthFlags) watchAll(ctx context.Context, p *peer, service string, std stdio) error {
	ctx, cancel := within(ctx, max(h.timeout, 0))
	defer cancel()
	timer := notice(std.err, p.address, "health")
	defer timer.Stop()
	came := false
	for got, err := range health.Watch(ctx, p.client, service) {
		if came && ctx.Err() != nil || errors.Is(ctx.Err(), context.Canceled) {
			return nil // that is how a watch ends
		}
		if err != nil {
			return h.failed(p, err)
		}
		came = true
		timer.Stop()
		fmt.Fprintln(std.out, got)
	}
	return nil
}

// plainJSON prints details whose types are well known.
func plainJSON(m proto.Message) json.RawMessage {
	return toJSON(m, schema.New(context.Background()).Types(), false)
}
