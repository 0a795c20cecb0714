package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"
)

// The control socket lies beside the measured one. The client asks there for what only the server's
// own process can tell; one exchange of JSON lines at a time.

type question struct {
	Collect bool // collect garbage and return memory to the system before looking
	Held    int  // first wait until so many calls are in their handlers
	Release bool // let the held handlers return
	Busy    bool // compute from now on, with as many goroutines as can run at once

	// First wait until so many Await handlers have begun and have seen the end, and so many Compute
	// handlers have begun; at most so long.
	Begun, Ended int
	Computing    int
	Patience     time.Duration
	Times        bool // tell the times as well
}

// answer is what the server's process tells.
type answer struct {
	usage
	Begun, Ended int             // Await handlers
	Awaited      []time.Duration // when they saw their contexts end, by monotonic
	Computed     []time.Duration // when the Compute handlers began
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
		if err := out.Encode(q.answer()); err != nil {
			return err
		}
	}
}

func (q question) answer() (a answer) {
	if q.Held > 0 {
		held.waitFor(q.Held)
	}
	if q.Release {
		held.release()
	}
	if q.Busy {
		computeForever(runtime.GOMAXPROCS(0))
	}
	awaited.waitFor(q.Begun, q.Ended, q.Patience)
	computed.waitFor(0, q.Computing, q.Patience)
	a.usage = takeUsage(q.Collect)
	a.Begun, a.Ended = awaited.counts()
	if q.Times {
		a.Awaited, a.Computed = awaited.all(), computed.all()
	}
	return a
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

func (c *control) ask(q question) (a answer, err error) {
	if err := c.out.Encode(q); err != nil {
		return a, err
	}
	return a, c.in.Decode(&a)
}
