package main

import (
	"github.com/containerd/ttrpc/bench/driver"
	"github.com/containerd/ttrpc/bench/peers/ttrpc"
)

func main() { driver.Main(ttrpc.Peer()) }
