package main

import "github.com/containerd/ttrpc/bench/peers/ttrpc/gogo/hello"

func main() { hello.Main() }
