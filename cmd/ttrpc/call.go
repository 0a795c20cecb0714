package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/frames"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// callFlags are those of the command call.
type callFlags struct {
	connectFlags
	schemaFlags
	shimFlags
	data      texts
	n         int
	format    string
	defaults  bool
	keepOpen  bool
	trace     bool
	onlyTrace bool // frames are all that is printed
}

func (c *callFlags) declare(fs *flag.FlagSet) {
	c.connectFlags.declare(fs)
	c.schemaFlags.declare(fs)
	c.shimFlags.declare(fs)
	fs.BoolVar(&c.trace, "trace", false, "print each frame to standard error")
	fs.Var(&c.data, "d",
		"the request, as `JSON`, or @file, or @- for standard input. Several values, in\n"+
			"one or by several -d, are the messages of a stream, or one call each on one\n"+
			"connection. {} without this flag")
	fs.Var((*count)(&c.n), "n", "stop after `N` messages have come, with exit code 0")
	fs.StringVar(&c.format, "o", "json",
		"the `FORMAT` of what comes: json; events, which is a line of JSON for each\n"+
			"thing that happens; text; bin (a stream's messages have their length before)")
	fs.BoolVar(&c.defaults, "emit-defaults", false, "show fields that have their default value")
	fs.BoolVar(&c.keepOpen, "keep-open", false, "do not close the stream's sending side at the end of input")
}

func callCommand() command {
	return command{
		name: "call", args: "ADDRESS pkg.Service/Method", short: "call a method, unary or of any kind of stream",
		long: "The package may be left out where no two services share the rest of the name.\n" + schemaHelp,
		examples: []string{
			`ttrpc call /run/x.sock hello.Greeter/Greet -d '{"name": "you"}'`,
			`ttrpc call /run/x.sock Greeter/Greet -proto hello.proto -H tenant:blue -timeout 1m`,
			`tail -f lines.json | ttrpc call @chat chat.Chat/Talk -d @- -o events`,
			`ttrpc call vsock:3:1024 pkg.Service/Watch -n 1`,
			`ttrpc call -shim default/web Task/State`,
		},
		setup: func(fs *flag.FlagSet) action {
			c := new(callFlags)
			c.declare(fs)
			return c.run
		},
	}
}

func (c *callFlags) run(ctx context.Context, args []string, std stdio) error {
	prefer := ""
	if c.shim != "" {
		b, err := c.bundle()
		if err != nil {
			return err
		}
		args, prefer = append([]string{b.Address}, args...), b.service()
		c.headers = append(c.headers, "containerd-namespace-ttrpc:"+b.namespace)
	}
	if c.shim != "" && len(args) == 3 {
		return usagef("call: %q is one argument too many: -shim stands in the place of ADDRESS", args[1])
	}
	if len(args) != 2 {
		return usagef("call needs an address, or -shim, and a method; ttrpc call -help has examples")
	}
	if args[0] == noAddress {
		return usagef("call needs a server: %q stands for none", noAddress)
	}
	if !slices.Contains(formats, c.format) {
		return usagef("-o %s: the formats are %s", c.format, strings.Join(formats, ", "))
	}
	ctx, p, err := c.dial(ctx, args[0], c.trace || c.onlyTrace)
	if err != nil {
		return err
	}
	defer p.close()
	return c.call(ctx, p, args[1], prefer, std)
}

// call finds the method and calls it.
func (c *callFlags) call(ctx context.Context, p *peer, name, prefer string, std stdio) error {
	set, done := c.discover(ctx, p)
	defer done()
	slow := slowTypes(std.err, p.address)
	md, err := findMethod(set, name, func(names []string) []string { return p.choose(ctx, names, prefer) })
	slow.Stop()
	if err != nil {
		return p.undescribed(err, patience)
	}
	std = c.watchFrames(p, set, std)
	in, err := openInput(c.input(md), std.in, set.Types())
	if err != nil {
		return err
	}
	defer in.close()
	out := &output{w: std.out, format: c.format, defaults: c.defaults, types: set.Types(), many: md.IsStreamingServer()}
	if md.IsStreamingClient() || md.IsStreamingServer() {
		s := &streamCall{callFlags: c, peer: p, md: md, in: in, out: out, stderr: std.err}
		return s.run(ctx)
	}
	return c.unary(ctx, p, md, in, out)
}

// choose leaves of services that differ by their packages the preferred one, or else those that the
// server has.
func (p *peer) choose(ctx context.Context, names []string, prefer string) []string {
	if slices.Contains(names, prefer) {
		return []string{prefer}
	}
	ctx, cancel := within(ctx, patience)
	defer cancel()
	var has []string
	for _, name := range names {
		if p.serves(ctx, name) == served {
			has = append(has, name)
		}
	}
	if len(has) == 0 {
		return names
	}
	return has
}

// watchFrames has the frames of the calls to come printed, where the user wants that. It returns
// where all else is printed to.
func (c *callFlags) watchFrames(p *peer, set *schema.Set, std stdio) stdio {
	var w io.Writer
	switch {
	case c.onlyTrace:
		w, std.out = std.out, io.Discard
	case c.trace:
		w = std.err
	default:
		return std
	}
	see := callsFromHere(framePrinter(w, set).Print)
	p.watcher.Store(&see)
	return std
}

// callsFromHere leaves out the frames of calls that began before, to find the schema.
func callsFromHere(each func(*frames.Frame)) func(*frames.Frame) {
	var first atomic.Uint32 // the id of the first call
	return func(f *frames.Frame) {
		if f.Type == frames.Request {
			first.CompareAndSwap(0, f.ID)
		}
		if id := first.Load(); id != 0 && (f.ID == 0 || f.ID >= id) {
			each(f)
		}
	}
}

// input returns what -d says, or the id of the shim's container, if a request has one.
func (c *callFlags) input(md protoreflect.MethodDescriptor) texts {
	fd := md.Input().Fields().ByName("id")
	if len(c.data) != 0 || c.shim == "" || fd == nil || fd.Kind() != protoreflect.StringKind {
		return c.data
	}
	_, id, _ := strings.Cut(c.shim, "/")
	return texts{fmt.Sprintf(`{"id":%q}`, id)}
}

// discover returns the schema that is found through a peer, within a time of its own: what the user
// has set is the call's.
func (c *callFlags) discover(ctx context.Context, p *peer) (*schema.Set, context.CancelFunc) {
	ctx, cancel := within(ctx, patience)
	return c.set(ctx, p), cancel
}

// unary makes a call for each message of the input.
func (c *callFlags) unary(ctx context.Context, p *peer, md protoreflect.MethodDescriptor, in *input, out *output) error {
	for n := 1; ; n++ {
		req, err := in.first(md.Input())
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.one(ctx, p, md, req, out); err != nil {
			return err
		}
		if n == c.n {
			return nil
		}
	}
}

func (c *callFlags) one(ctx context.Context, p *peer, md protoreflect.MethodDescriptor, req proto.Message, out *output) error {
	limit := c.limit()
	ctx, cancel := within(ctx, limit)
	defer cancel()
	resp := dynamicpb.NewMessage(md.Output())
	service, method := string(md.Parent().FullName()), string(md.Name())
	if err := out.event("call", "method", quote(service+"/"+method)); err != nil {
		return err
	}
	err := p.client.Call(ctx, service, method, req, resp)
	if err != nil {
		return out.failed(p.explain(absent(err, service, method), service+"/"+method, limit))
	}
	return out.message(resp)
}

func quote(text string) []byte { return fmt.Appendf(nil, "%q", text) }

// failed reports a call's error, as an event too.
func (o *output) failed(err error) error {
	err = callError(err, o.json)
	var se statusError
	if errors.As(err, &se) {
		return firstError(o.event("end", "status", statusOf(se)), err)
	}
	return firstError(o.event("end", "error", quote(err.Error())), err)
}

// firstError prefers the failure to print.
func firstError(printing, err error) error {
	if printing != nil {
		return printing
	}
	return err
}

// slowTypes prints, once, that the search for a schema takes long.
func slowTypes(w io.Writer, address string) *time.Timer {
	return time.AfterFunc(patience/2, func() {
		fmt.Fprintf(w, "ttrpc: %s has not told its types in %v; waiting on\n", address, patience/2)
	})
}

// notice prints, once, that a stream has been silent for long. It is stopped by the first message.
func notice(w io.Writer, address, what string) *time.Timer {
	return time.AfterFunc(patience, func() {
		fmt.Fprintf(w, "ttrpc: %s has sent nothing for %s in %v; waiting on (-timeout ends it)\n", address, what, patience)
	})
}
