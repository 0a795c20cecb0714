// Size measures what the library adds to a program that links it, beside what a release of the
// original adds: bytes of the stripped program and of its parts, the library's own symbols, and
// what is linked with the one and not with the other.
//
//	go run ./tools/size [flags]
//
// The program is the benchmark's smallest server, and with -shim also containerd's runc shim, which
// comes from the module proxy. The figures are exact: they need no quiet machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

type options struct {
	shim bool
	top  int
}

func main() {
	o, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "size:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string, out io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("size", flag.ContinueOnError)
	set.SetOutput(out)
	set.BoolVar(&o.shim, "shim", false, "measure containerd's runc shim as well, which takes minutes to build")
	set.IntVar(&o.top, "n", 12, "how many symbols are listed of each kind")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", set.Arg(0))
	}
	return o, nil
}

// run builds each program with this library and with the original, and compares the two.
func run(o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "size")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pairs, err := hellos()
	if err != nil {
		return err
	}
	if o.shim {
		shims, err := shims(dir)
		if err != nil {
			return err
		}
		pairs = append(pairs, shims)
	}
	for _, p := range pairs {
		ours, err := measure(p.ours, dir)
		if err != nil {
			return err
		}
		theirs, err := measure(p.theirs, dir)
		if err != nil {
			return err
		}
		report(out, p.name, ours, theirs, o.top)
	}
	return nil
}
