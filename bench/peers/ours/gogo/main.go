package main

import (
	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/peers/ttrpc/gogo"
)

func main() { driver.Main(gogo.Peer()) }
