// Command kitex is github.com/cloudwego/kitex with its own protocol for protobuf messages and all
// calls on one connection. It is written as its generated code is.
package main

import (
	"github.com/cloudwego/kitex/pkg/klog"

	"github.com/containerd/ttrpc/bench/driver"
)

func main() {
	klog.SetLevel(klog.LevelError) // the connections that end are expected
	driver.Main(driver.Peer{Serve: serve, Dial: dial})
}
