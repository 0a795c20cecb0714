//go:build unix

// Latency measures three promises about time that no test can hold: how long requests wait behind a
// slow handler of their connection, how late requests and answers leave a busy process, and how
// late a cancelled call returns.
//
//	go run ./latency [holdup] [leave] [cancel]
//
// runs all of them, or those named. The folder v1.2.8 is the same program with that release of the
// original:
//
//	cd latency/v1.2.8 && GOWORK=off go run .
//
// What is observed runs in a process of its own; the observer is this one, and speaks the protocol
// by hand.
package main

import (
	"fmt"
	"os"
	"slices"
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "child" {
		exit(child(os.Args[2], os.Args[3]))
	}
	for _, m := range []struct {
		name string
		run  func() error
	}{{"holdup", holdUps}, {"leave", leaves}, {"cancel", cancels}} {
		if len(os.Args) == 1 || slices.Contains(os.Args[1:], m.name) {
			exit(m.run())
		}
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

// printRow prints a row of a table.
func printRow(what string, all []time.Duration) {
	slices.Sort(all)
	over := 0
	for _, d := range all {
		if d > time.Millisecond {
			over++
		}
	}
	at := func(part float64) time.Duration { return all[int(part*float64(len(all)-1))].Round(time.Microsecond) }
	fmt.Printf("%-52s p50 %10v  p99 %10v  max %10v  over 1 ms: %d of %d\n", what, at(0.5), at(0.99), at(1), over, len(all))
}
