//go:build linux

// Command containerd-shim-plain-v1 is a shim of containerd's runtime v2 which runs plain processes:
// no namespaces, no cgroups, no rootfs, no runc. It shows what a shim takes with ttrpc, and how
// small it can be. containerd finds it in its PATH by the runtime's name, io.containerd.plain.v1.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
)

const (
	program = "containerd-shim-plain-v1"
	version = "1"
)

// invocation is what containerd says on the command line. The working directory is the bundle, for
// all actions.
type invocation struct {
	id        string
	namespace string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var inv invocation
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.StringVar(&inv.id, "id", "", "the container's id")
	flags.StringVar(&inv.namespace, "namespace", "", "containerd's namespace that the container is in")
	bundle := flags.String("bundle", "", "the bundle, if it is not the working directory")
	flags.String("address", "", "containerd's address for gRPC, which is of no use here")
	flags.String("publish-binary", "", "containerd's program, which is of no use here")
	info := flags.Bool("info", false, "print what this program is, as a RuntimeInfo of containerd's")
	flags.Bool("debug", false, "containerd logs at level debug, which is of no use here")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *info {
		return printMessage(os.Stdout, &types.RuntimeInfo{
			Name:    "io.containerd.plain.v1",
			Version: &types.RuntimeVersion{Version: version},
		})
	}
	if inv.id == "" || inv.namespace == "" {
		return fmt.Errorf("-id and -namespace are required: this program is started by containerd")
	}
	if *bundle != "" {
		if err := os.Chdir(*bundle); err != nil {
			return err
		}
	}
	switch action := flags.Arg(0); action {
	case "start":
		return start(inv, os.Stdin, os.Stdout)
	case "delete":
		return cleanUp(os.Stdout)
	case actionServe:
		return serve(inv)
	default:
		return fmt.Errorf("no action %q: containerd asks for start or delete", action)
	}
}

// printMessage prints a message as containerd reads it.
func printMessage(out io.Writer, m proto.Message) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}
