// Command drpc is storj.io/drpc, written as its generated code is. A connection carries one call at
// a time.
package main

import (
	"google.golang.org/protobuf/proto"
	"storj.io/drpc"

	"github.com/containerd/ttrpc/bench/driver"
)

func main() { driver.Main(driver.Peer{Serve: serve, Dial: dial, Serial: true}) }

// encoding is what drpc's generator writes for protobuf messages.
type encoding struct{}

func (encoding) Marshal(m drpc.Message) ([]byte, error) { return proto.Marshal(m.(proto.Message)) }

func (encoding) MarshalAppend(buf []byte, m drpc.Message) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(buf, m.(proto.Message))
}

func (encoding) Unmarshal(buf []byte, m drpc.Message) error {
	return proto.Unmarshal(buf, m.(proto.Message))
}
