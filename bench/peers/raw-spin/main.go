// Command raw-spin is the floor for a program that asks for what is about to come.
package main

import (
	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/peers/frames"
)

func main() { driver.Main(frames.Peer(frames.Spinning)) }
