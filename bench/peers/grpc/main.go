// Command grpc is google.golang.org/grpc, written as its generated code is.
package main

import "github.com/containerd/ttrpc/bench/driver"

func main() { driver.Main(driver.Peer{Serve: serve, Dial: dial}) }
