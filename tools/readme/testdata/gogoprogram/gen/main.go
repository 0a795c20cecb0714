// Command gen is a gogo generator of the program's own.
package main

import (
	_ "github.com/containerd/ttrpc/plugin"
	"github.com/gogo/protobuf/vanity/command"
)

func main() { command.Write(command.Generate(command.Read())) }
