package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Job is what the client process is told to measure.
type Job struct {
	Workload string
	Warm     time.Duration // of each load, before it is measured
	Measure  time.Duration // of each load
	Calls    int           // counted calls where allocations are counted
	Conns    int           // connections where many are opened
	Hello    string        // the server's program, where StartsServer
}

// StartsServer says whether a workload starts its servers itself.
func StartsServer(workload string) bool { return workload == "hello" || workload == "shim" }

// Values are a workload's figures by name.
type Values map[string]float64

// ErrUnsupported says that a peer cannot do what a workload needs. The client's output is then an
// empty object.
var ErrUnsupported = errors.New("the peer cannot do this")

// run is one job under way.
type running struct {
	Job
	peer    Peer
	address string
	ctl     *control
	client  Client // one connection, already used once
}

// measure is the client process: it writes the figures as one JSON object.
func measure(p Peer, address, encoded string) error {
	r := &running{peer: p, address: address}
	if err := json.Unmarshal([]byte(encoded), &r.Job); err != nil {
		return err
	}
	work, ok := workloads[r.Workload]
	if !ok {
		return fmt.Errorf("no workload %q", r.Workload)
	}
	if err := r.connect(); err != nil {
		return err
	}
	values, err := work(r)
	if errors.Is(err, ErrUnsupported) {
		values, err = Values{}, nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.Workload, err)
	}
	return json.NewEncoder(os.Stdout).Encode(values)
}

// connect opens the control connection and the measured one, unless the workload starts the servers
// itself.
func (r *running) connect() (err error) {
	if StartsServer(r.Workload) {
		return nil
	}
	if r.ctl, err = dialControl(r.address); err != nil {
		return err
	}
	r.client, err = r.dial()
	return err
}

// dial opens one more connection and makes a call on it, since some peers connect at the first
// call.
func (r *running) dial() (Client, error) {
	c, err := r.peer.Dial(r.address)
	if err != nil {
		return nil, err
	}
	return c, c.Echo(background)
}
