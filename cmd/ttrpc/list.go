package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
	"github.com/containerd/ttrpc/reflection"
)

// noAddress stands in the place of an address where only the schema of the flags is meant.
const noAddress = "-"

// viewFlags are those of the commands that show a schema.
type viewFlags struct {
	connectFlags
	schemaFlags
}

func (v *viewFlags) declare(fs *flag.FlagSet) {
	v.connectFlags.declare(fs)
	v.schemaFlags.declare(fs)
}

// open returns the schema for an address, and the peer, which is nil for "-".
func (v *viewFlags) open(ctx context.Context, address string) (*peer, *schema.Set, func(), error) {
	if address == noAddress && len(v.named()) == 0 {
		return nil, nil, nil, usagef("%q stands for no server: -proto, -protoset, -binary or -pid is needed then", noAddress)
	}
	limited, cancel := within(ctx, v.limit())
	if address == noAddress {
		return nil, v.set(limited, nil), cancel, nil
	}
	limited, p, err := v.dial(limited, address, false)
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return p, v.set(limited, p), func() { p.close(); cancel() }, nil
}

func listCommand() command {
	return command{
		name: "list", args: "ADDRESS [SERVICE]", short: "list a server's services, or the methods of one",
		long: `With "-" for ADDRESS it lists what -proto, -protoset, -binary and -pid have. A server without
reflection is asked for each service that was found, by a call of a method that no service has.
` + schemaHelp,
		examples: []string{
			"ttrpc list /run/x.sock",
			"ttrpc list /run/x.sock hello.Greeter",
			"ttrpc list - -binary /usr/bin/containerd-shim-runc-v2",
		},
		setup: func(fs *flag.FlagSet) action {
			v := new(viewFlags)
			v.declare(fs)
			return v.list
		},
	}
}

func (v *viewFlags) list(ctx context.Context, args []string, std stdio) error {
	if len(args) < 1 || len(args) > 2 {
		return usagef(`list needs an address, or "-" and a flag such as -proto; ttrpc list -help has examples`)
	}
	p, set, done, err := v.open(ctx, args[0])
	if err != nil {
		return err
	}
	defer done()
	if len(args) == 2 {
		return p.undescribed(listMethods(set, args[1], std), v.limit())
	}
	names, err := v.services(ctx, p, set)
	for _, name := range names {
		fmt.Fprintln(std.out, name)
	}
	return err
}

func listMethods(set *schema.Set, name string, std stdio) error {
	sd, err := set.FindService(protoreflect.FullName(name))
	if err != nil {
		return err
	}
	for i := range sd.Methods().Len() {
		fmt.Fprintf(std.out, "%s/%s\n", name, sd.Methods().Get(i).Name())
	}
	return nil
}

// services returns the names of what the server serves, as far as that can be found out.
func (v *viewFlags) services(ctx context.Context, p *peer, set *schema.Set) ([]string, error) {
	ctx, err := v.metadata(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, v.limit())
	defer cancel()
	if p != nil {
		names, err := reflection.ListServices(ctx, p.client)
		if err == nil {
			return names, nil
		}
		if isConnection(err) {
			return nil, p.broken(err)
		}
		if ctx.Err() != nil {
			return nil, v.failed(p, ctx.Err())
		}
	}
	all, err := set.Services()
	if err != nil {
		return nil, err
	}
	var names, untold []string
	for _, sd := range all {
		name := string(sd.FullName())
		switch p.serves(ctx, name) {
		case served:
			names = append(names, name)
		case servedUntold:
			untold = append(untold, name)
		}
	}
	switch {
	case p != nil && ctx.Err() != nil:
		return names, v.failed(p, ctx.Err())
	case len(untold) != 0:
		return nil, usagef("%s does not tell whether it has a service, as the blocking servers of the Rust crate. "+
			"These were found, and can be tried: %s", p.address, strings.Join(untold, ", "))
	case len(names) == 0:
		return nil, set.NotFound("a service that the server has", nil)
	}
	return names, nil
}

func (v *viewFlags) failed(p *peer, err error) error {
	return callError(p.explain(err, "which services it has", v.limit()), plainJSON)
}

// serving is what a server tells of a service.
type serving int

const (
	notServed serving = iota
	served
	servedUntold // it answers the same, whether it has the service or not
)

// serves finds out whether a server has a service. It calls a method that no service has: the
// answer differs, by rules P26 and P27 of PROTOCOL.md, which all releases keep, v1.0 with code
// NotFound. The blocking half of the Rust crate knows methods alone, and answers the same to both.
func (p *peer) serves(ctx context.Context, service string) serving {
	if p == nil {
		return served // nobody is asked
	}
	err := p.client.Call(ctx, service, "-", new(emptypb.Empty), new(emptypb.Empty))
	switch st := ttrpc.StatusOf(err); st.Code() {
	case codes.Unimplemented, codes.NotFound:
		if st.Message() != "service "+service {
			return served
		}
	case codes.InvalidArgument:
		if st.Message() == "/"+service+"/- does not exist" {
			return servedUntold
		}
	}
	return notServed
}
