package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// stdio is what a command reads and prints to.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// command is one verb.
type command struct {
	name, args, short string
	long              string // further lines of its help
	examples          []string
	// setup declares the command's flags and returns what runs it with the arguments left.
	setup func(*flag.FlagSet) action
}

type action func(ctx context.Context, args []string, std stdio) error

// commands returns all verbs, in the order of the help.
func commands() []command {
	return []command{
		listCommand(), describeCommand(), callCommand(), pingCommand(), healthCommand(), topCommand(), shimsCommand(),
		traceCommand(), proxyCommand(), replayCommand(), decodeCommand(), completionCommand(),
	}
}

// run runs the command line and returns the exit code.
func run(ctx context.Context, args []string, std stdio) int {
	if len(args) == 0 {
		usage(std.err)
		return exitUsage
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &checkedOutput{w: std.out, failed: cancel}
	err := dispatch(ctx, args, stdio{&endingInput{ctx: ctx, r: std.in}, out, std.err})
	return report(out.failure(interrupted(err)), std.err)
}

func dispatch(ctx context.Context, args []string, std stdio) error {
	if isHelp(args[0]) {
		if len(args) == 1 {
			usage(std.out)
			return nil
		}
		args = []string{args[1], "-help"}
	}
	if strings.TrimLeft(args[0], "-") == "version" {
		printVersion(std.out)
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], std)
		}
	}
	return unknownCommand(args[0])
}

func unknownCommand(name string) error {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	if near := schema.Near(name, names); len(near) > 0 {
		return usagef("there is no command %q; is it %s? ttrpc -help lists them", name, strings.Join(near, ", or "))
	}
	return usagef("there is no command %q; ttrpc -help lists them", name)
}

// printVersion prints what the program was built from.
func printVersion(w io.Writer) {
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version + " " + info.GoVersion
	}
	fmt.Fprintln(w, "ttrpc", strings.TrimSpace(version))
}

func isHelp(arg string) bool {
	return arg == "help" || arg == "-help" || arg == "--help" || arg == "-h"
}

func (c command) run(ctx context.Context, args []string, std stdio) error {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	act := c.setup(fs)
	rest, err := parse(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		c.help(fs, std.out)
		return nil
	}
	if err != nil {
		return usagef("%s: %v; ttrpc %s -help lists the flags", c.name, err, c.name)
	}
	if n := len(strings.Fields(c.args)); len(rest) > n {
		return c.tooMany(rest[n])
	}
	return act(ctx, rest, std)
}

func (c command) tooMany(arg string) error {
	if strings.HasPrefix(arg, "{") {
		return usagef("%s: %s is one argument too many; a request stands behind -d", c.name, arg)
	}
	return usagef("%s: %q is one argument too many; ttrpc %s -help has examples", c.name, arg, c.name)
}

// parse lets flags stand behind arguments too; what follows "--" is arguments only.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		left := fs.Args()
		if len(left) == 0 {
			return rest, nil
		}
		if n := len(args) - len(left); n > 0 && args[n-1] == "--" {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, "ttrpc calls services that are served by ttrpc, and shows what they speak.\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, addressHelp, exitHelp, "\nttrpc COMMAND -help has a command's flags, and examples. ttrpc -version prints the version.\n")
}

const addressHelp = `
ADDRESS is one of:
  unix:///run/x.sock, /run/x.sock       a unix socket
  unix-abstract:x, @x                   an abstract unix socket
  vsock:CID:PORT, hvsock:/vm.sock:PORT  a virtual machine's, or through firecracker's socket
  tcp:HOST:PORT                         TCP
  ttrpc+unix:///run/x.sock              as containerd prints a shim's
`

const exitHelp = `
Exit codes: 0 success, 1 usage, 2 no connection or a broken one, 64+N the status code N of gRPC,
as 69 for NotFound (5). A status is printed to standard error as JSON.
`

func (c command) help(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "ttrpc %s\n\n%s.\n", strings.TrimSpace(c.name+" "+c.args), strings.ToUpper(c.short[:1])+c.short[1:])
	if c.long != "" {
		fmt.Fprintf(w, "%s\n", c.long)
	}
	fmt.Fprint(w, "\nExamples:\n")
	for _, e := range c.examples {
		fmt.Fprintf(w, "  %s\n", e)
	}
	first := true
	fs.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprint(w, "\nFlags:\n")
			first = false
		}
		arg, text := flag.UnquoteUsage(f)
		if d := f.DefValue; d != "" && d != "0" && d != "false" {
			text += " (default " + d + ")"
		}
		fmt.Fprintf(w, "  %-22s %s\n", strings.TrimSpace("-"+f.Name+" "+arg), strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", 25)))
	})
}
