// Command ttrpc calls services that are served by ttrpc, and shows what they speak.
//
//	go install ./cmd/ttrpc
//	ttrpc -help
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}
