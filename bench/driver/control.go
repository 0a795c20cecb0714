package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
)

// The control socket lies beside the measured one. The client asks there for what only the server's
// own process can tell; one exchange of JSON lines at a time.

type question struct {
	Collect bool // collect garbage and return memory to the system before looking
	Held    int  // first wait until so many calls are in their handlers
	Release bool // let the held handlers return
}

// serve listens on both sockets and writes a line to say so. It returns when the client's process
// has ended.
func serve(p Peer, address string) error {
	l, err := net.Listen("unix", address)
	if err != nil {
		return err
	}
	ctl, err := net.Listen("unix", address+".ctl")
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- p.Serve(l) }()
	go func() { ended <- answerAll(ctl) }()
	fmt.Println("ready")
	if err := <-ended; !errors.Is(err, io.EOF) {
		return err
	}
	return nil // the client is done
}

// answerAll serves the one control connection of a run, and ends with it.
func answerAll(ctl net.Listener) error {
	conn, err := ctl.Accept()
	if err != nil {
		return err
	}
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var q question
		if err := in.Decode(&q); err != nil {
			return err
		}
		if q.Held > 0 {
			held.waitFor(q.Held)
		}
		if q.Release {
			held.release()
		}
		if err := out.Encode(takeUsage(q.Collect)); err != nil {
			return err
		}
	}
}

// control is the client's end of the control socket.
type control struct {
	in  *json.Decoder
	out *json.Encoder
}

func dialControl(address string) (*control, error) {
	conn, err := net.Dial("unix", address+".ctl")
	if err != nil {
		return nil, err
	}
	return &control{in: json.NewDecoder(conn), out: json.NewEncoder(conn)}, nil
}

func (c *control) ask(q question) (usage, error) {
	var u usage
	if err := c.out.Encode(q); err != nil {
		return u, err
	}
	return u, c.in.Decode(&u)
}
