package main

import "github.com/containerd/ttrpc/bench/peers/ttrpc/hello"

func main() { hello.Main() }
