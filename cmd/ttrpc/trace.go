package main

import (
	"encoding/json"
	"flag"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/frames"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

const traceHelp = `A line has the time, the direction (> is to the server), the id, the type, the flags and the length
of a frame, and then what is in it: its messages as JSON where their types are known, and else in
hexadecimal digits.`

func traceCommand() command {
	return command{
		name: "trace", args: "ADDRESS pkg.Service/Method", short: "call a method and show each frame, in place of the messages",
		long: traceHelp + "\nIt is call -trace, which prints the frames to standard error, the messages to standard output.",
		examples: []string{
			`ttrpc trace /run/x.sock hello.Greeter/Greet -d '{"name": "you"}'`,
			`ttrpc proxy /tmp/x.sock /run/x.sock    # for the calls of others`,
		},
		setup: func(fs *flag.FlagSet) action {
			c := &callFlags{onlyTrace: true}
			c.declare(fs)
			return c.run
		},
	}
}

// framePrinter prints frames by what the schema knows already: it must not ask the server, since it
// runs where that server's frames are read.
func framePrinter(w io.Writer, set *schema.Set) *frames.Printer {
	return &frames.Printer{
		W: w,
		Method: func(service, method string) protoreflect.MethodDescriptor {
			d, err := set.Known(protoreflect.FullName(service + "." + method))
			if err != nil {
				return nil
			}
			md, _ := d.(protoreflect.MethodDescriptor)
			return md
		},
		JSON: func(m proto.Message) json.RawMessage { return toJSON(m, set.KnownTypes(), false) },
	}
}
