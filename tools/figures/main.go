// Command figures prints what can be counted of a Go library's structure: how much state hangs on
// one lock, how often files use each other in circles, how long and how branched functions are.
//
//	go run ./tools/figures [flags] [dir]
//
// It reads the package in dir (the working directory without one) and those of its module that it
// imports, without test files, generated files (*.pb.go) and, for all but lines and files, files of
// other systems.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

type options struct {
	dir     string
	reads   string
	runs    string
	layers  string
	sides   string
	alike   float64
	verbose bool
}

const usage = `usage: figures [flags] [dir]

Prints figures of the structure of the Go package in dir and of the packages of its module that it
imports. Exit status: 0 when all could be counted, 1 when not, 2 for wrong flags.

`

// moduleLayers are this module's layers, the lowest first. TestLayersImports has the same list.
const moduleLayers = "internal/peercred,internal/codec,internal/callctx,internal/streamids,internal/threads," +
	"internal/unixsocket,internal/notify,internal/conns,internal/cowmap,internal/handshake,internal/redial,internal/dialer," +
	"internal/flow,internal/wire,internal/message,internal/request," +
	"internal/transport,internal/callerr," +
	"internal/recv,internal/peer,internal/reader,internal/conn,internal/clientconn,internal/serverconn," +
	"internal/stats,internal/runner,."

func main() {
	o, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string, out io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("figures", flag.ContinueOnError)
	set.SetOutput(out)
	set.Usage = func() {
		fmt.Fprint(out, usage)
		set.PrintDefaults()
	}
	set.StringVar(&o.reads, "reads", "internal/reader/", "files, folders or names that are the code of who reads, with commas")
	set.StringVar(&o.runs, "runs", "internal/runner/inline.go", "the same for who runs a handler")
	set.StringVar(&o.layers, "layers", moduleLayers, "folders of layers, the lowest first")
	set.StringVar(&o.sides, "sides", "client,server", "how the names of the two sides' types begin")
	set.Float64Var(&o.alike, "alike", 0.55, "how much of two bodies has to agree for them to have one shape, up to 1")
	set.BoolVar(&o.verbose, "v", false, "say what has been counted")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	o.dir = "."
	switch {
	case set.NArg() == 1:
		o.dir = set.Arg(0)
	case set.NArg() > 1:
		fmt.Fprintln(out, "figures: more than one folder")
		set.Usage()
		return o, errors.New("more than one folder")
	}
	return o, nil
}

// A figure is one line of the table. The details say what has been counted.
type figure struct {
	name, value string
	details     []string
}

func run(o options, out io.Writer) error {
	t, err := load(o.dir)
	if err != nil {
		return err
	}
	figures := []figure{
		mostBooleans(t),
		mostUnderLock(t),
		concern(t, "files with code for \"who reads\"", split(o.reads)),
		concern(t, "files with code for \"who runs\"", split(o.runs)),
		upwardNames(t, split(o.layers)),
		upwardArrows(t),
		twins(t, split(o.sides), o.alike),
	}
	lines, err := rootLines(t)
	if err != nil {
		return err
	}
	figures = append(figures, lines...)
	figures = append(figures, functionFigures(t)...)
	return write(out, figures, o.verbose)
}

func write(out io.Writer, figures []figure, verbose bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%s\n", f.name, f.value)
	}
	if err := w.Flush(); err != nil || !verbose {
		return err
	}
	for _, f := range figures {
		if len(f.details) > 0 {
			fmt.Fprintf(out, "\n%s: %s\n\t%s\n", f.name, f.value, strings.Join(f.details, "\n\t"))
		}
	}
	return nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
