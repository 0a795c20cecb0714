// Command peer is one side of the interoperability tests: a server, a client that runs a
// list of scenarios, or a set of probes of the public API. The same source is built
// against every release, through links from the folders beside this one.
package main

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// modes are the ways to run, by name; files that not every release can build add to it.
var modes = map[string]func(args []string) error{
	"server": serve,
	"client": runClient,
}

func main() {
	err := run(os.Args[1:])
	os.RemoveAll(tempDir())
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || modes[args[0]] == nil {
		return fmt.Errorf("want a mode, have %q", args)
	}
	return modes[args[0]](args[1:])
}

// tempDir is the folder of this process's sockets; main removes it.
var tempDir = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "ttrpc-interop-")
	if err != nil {
		panic(err)
	}
	return dir
})

// untilParentEnds returns when standard input ends, which it does with the parent.
func untilParentEnds() {
	io.Copy(io.Discard, os.Stdin)
}
