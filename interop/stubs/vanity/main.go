// Command vanity is a user's own gogo generator: gogo's defaults and ttrpc services.
package main

import (
	"github.com/gogo/protobuf/vanity/command"

	_ "github.com/containerd/ttrpc/plugin"
)

func main() { command.Write(command.Generate(command.Read())) }
