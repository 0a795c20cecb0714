// Command netrpc is net/rpc of the standard library with its gob messages. It knows no contexts and
// no streams.
package main

import (
	"context"
	"errors"
	"net"
	"net/rpc"

	"github.com/containerd/ttrpc/bench/driver"
)

func main() { driver.Main(driver.Peer{Serve: serve, Dial: dial, NoContext: true}) }

type Text struct{ Text string }

type Blob struct{ Data []byte }

// Echo is the service; its methods have the shape that net/rpc looks for.
type Echo struct{}

func (Echo) Echo(req *Text, resp *Text) error {
	resp.Text = req.Text
	return nil
}

func (Echo) EchoBlob(req *Blob, resp *Blob) error {
	resp.Data = req.Data
	return nil
}

func (Echo) Hold(req *Text, resp *Text) error {
	driver.Hold()
	resp.Text = req.Text
	return nil
}

func (Echo) Compute(req *Text, resp *Text) error {
	driver.Compute()
	resp.Text = req.Text
	return nil
}

func serve(l net.Listener) error {
	s := rpc.NewServer()
	if err := s.Register(Echo{}); err != nil {
		return err
	}
	s.Accept(l)
	return errors.New("the listener has ended")
}

type client struct{ *rpc.Client }

func dial(address string) (driver.Client, error) {
	c, err := rpc.Dial("unix", address)
	return client{c}, err
}

var (
	errAnswer = errors.New("the answer is not what was sent")
	request   = &Text{Text: driver.Text}
)

func (c client) call(method string) error {
	resp := new(Text)
	if err := c.Call(method, request, resp); err != nil {
		return err
	}
	if resp.Text != driver.Text {
		return errAnswer
	}
	return nil
}

func (c client) Echo(context.Context) error { return c.call("Echo.Echo") }

func (c client) Hold(context.Context) error { return c.call("Echo.Hold") }

func (c client) Compute(context.Context) error { return c.call("Echo.Compute") }

func (c client) EchoBlob(_ context.Context, body []byte) error {
	resp := new(Blob)
	if err := c.Call("Echo.EchoBlob", &Blob{Data: body}, resp); err != nil {
		return err
	}
	if len(resp.Data) != len(body) {
		return errAnswer
	}
	return nil
}
