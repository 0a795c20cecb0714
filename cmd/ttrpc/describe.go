package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// describeFlags are those of the command describe.
type describeFlags struct {
	viewFlags
	protosetOut string
}

func describeCommand() command {
	return command{
		name: "describe", args: "ADDRESS [SYMBOL]", short: "show a service, method, message or enum as in a .proto file",
		long: `Without SYMBOL it shows all services of the server. With "-" for ADDRESS only -proto, -protoset,
-binary and -pid are looked at.
` + schemaHelp,
		examples: []string{
			"ttrpc describe /run/x.sock",
			"ttrpc describe /run/x.sock hello.GreetRequest",
			"ttrpc describe - -binary /usr/bin/containerd -protoset-out containerd.protoset",
		},
		setup: func(fs *flag.FlagSet) action {
			d := new(describeFlags)
			d.declare(fs)
			fs.StringVar(&d.protosetOut, "protoset-out", "", "write all descriptors that were found to a `FILE`")
			return d.run
		},
	}
}

func (d *describeFlags) run(ctx context.Context, args []string, std stdio) error {
	if len(args) < 1 || len(args) > 2 {
		return usagef(`describe needs an address, or "-" and a flag such as -proto; ttrpc describe -help has examples`)
	}
	p, set, done, err := d.open(ctx, args[0])
	if err != nil {
		return err
	}
	defer done()
	if d.protosetOut != "" {
		return d.write(set)
	}
	names := args[1:]
	if len(names) == 0 {
		if names, err = d.services(ctx, p, set); err != nil {
			return err
		}
	}
	return p.undescribed(describeAll(set, names, std, len(args) == 1), d.limit())
}

// describeAll prints symbols. Of several some may be unknown: a server may have services whose
// descriptors it does not have.
func describeAll(set *schema.Set, names []string, std stdio, lenient bool) error {
	for i, name := range names {
		if service, method, ok := strings.Cut(name, "/"); ok {
			name = service + "." + method
		}
		desc, err := set.Find(protoreflect.FullName(strings.TrimPrefix(name, ".")))
		if err != nil && !lenient {
			return err
		}
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		if err != nil {
			fmt.Fprintf(std.out, "// %s: its descriptor was not found\n", name)
			continue
		}
		fmt.Fprint(std.out, schema.Text(desc))
	}
	return nil
}

func (d *describeFlags) write(set *schema.Set) error {
	files, err := set.Files()
	if err != nil {
		return err
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(files)
	if err != nil {
		return err
	}
	return os.WriteFile(d.protosetOut, data, 0o666)
}
