package ttrpc

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/redial"
)

// ConnState is how far a client of [Dial] has come with its connection.
//
//	from              event                                             to
//	Idle              a call comes                                      Connecting
//	Connecting        there is a connection                             Ready
//	Connecting        the attempt fails                                 TransientFailure
//	Ready             the connection ends, or takes no further calls    Idle
//	Ready             the same, before any call on it has succeeded     TransientFailure
//	TransientFailure  the delay is over, and a call waits               Connecting
//	TransientFailure  the delay is over, and none waits                 Idle
//	any               Close                                             Closed
type ConnState uint8

// The states of a client of Dial.
const (
	StateIdle             = ConnState(redial.Idle)       // no connection, until a call comes
	StateConnecting       = ConnState(redial.Connecting) // an attempt is under way: calls wait for it
	StateReady            = ConnState(redial.Ready)      // there is a connection
	StateTransientFailure = ConnState(redial.Failed)     // an attempt has failed, the next is not due
	StateClosed           = ConnState(redial.Closed)     // by Client.Close, for good
)

// String returns the state's name, as it stands in the table of [ConnState].
func (s ConnState) String() string {
	names := [...]string{"Idle", "Connecting", "Ready", "TransientFailure", "Closed"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("ConnState(%d)", uint8(s))
}

// dialConfig is what the options of Dial set that NewClient has no use for.
type dialConfig struct {
	target         string
	dial           func(ctx context.Context, target string) (net.Conn, error)
	backoff        redial.Backoff
	connectTimeout time.Duration // of an attempt; 0: none
	waitForReady   bool
	onState        func(ConnState, error) // nil: none
}

// Backoff says how long a client of [Dial] waits between the beginnings of two attempts that come
// to nothing: Base after the first one, and after each further one in a row Multiplier times as
// long as before, but Max at the most. Each delay is then made longer or shorter, by up to the part
// of it that is Jitter, at random: many clients of one server do not come all at once.
//
// A zero field has the default value: 1 second, 120 seconds, 1.6 and 0.2, which are grpc's. A
// Jitter below zero is none.
type Backoff struct {
	Base, Max          time.Duration
	Multiplier, Jitter float64
}
