// Command cmd shows ttrpc at work.
//
//	cmd                                      the demo: a server and a client in two processes
//	cmd server -addr unix:///run/tasks.sock  a server alone, until it is interrupted
//	cmd client -addr unix:///run/tasks.sock  a client alone: all steps but the server's end
//
// A client takes only some steps if they are named after its flags, and ends the server with
// -shutdown.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/pkg/errors"

	"github.com/containerd/ttrpc/example/shim"
	"github.com/containerd/ttrpc/example/walk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return runDemo(ctx, out)
	}
	switch args[0] {
	case "server":
		return runServer(ctx, args[1:], out)
	case "client":
		return runClient(ctx, args[1:], out)
	}
	return errors.Errorf("unknown command %q: want server, client, or nothing for the demo", args[0])
}

// listening is how a server says on its output that clients may come.
const listening = "listening on "

func runServer(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	addr := addressFlag(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return errors.Errorf("server: unexpected argument %q", flags.Arg(0))
	}
	server, err := shim.New(shim.SameUser()...)
	if err != nil {
		return err
	}
	l, err := shim.Listen(*addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, listening+*addr)
	if err := server.Serve(ctx, l); err != nil {
		return err
	}
	fmt.Fprintln(out, "ended in good order")
	return nil
}

func runClient(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	addr := addressFlag(flags)
	shutdown := flags.Bool("shutdown", false, "ask the server to end, as the last step")
	restart := flags.Bool("restart", false, "before that, ask the server to end and await another one at the address")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "client [flags] [step...]\nsteps: %s\n", strings.Join(walk.StepNames(), " "))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := walk.Dial(ctx, *addr)
	if err != nil {
		return err
	}
	defer client.Close()
	config := walk.Config{Out: out, Steps: flags.Args(), Shutdown: *shutdown}
	if *restart {
		config.Restart = *addr
	}
	return walk.Run(ctx, client, config)
}

func addressFlag(flags *flag.FlagSet) *string {
	return flags.String("addr", "unix:///tmp/ttrpc-example.sock", "the server's unix socket")
}
