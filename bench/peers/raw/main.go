// Command raw is the floor for a program that sleeps until something comes.
package main

import (
	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/peers/frames"
)

func main() { driver.Main(frames.Peer(frames.Sleeping)) }
