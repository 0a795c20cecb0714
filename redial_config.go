package ttrpc

import (
	"context"
	"fmt"
	"net"
	"time"
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
	StateIdle             ConnState = iota // no connection, until a call comes
	StateConnecting                        // an attempt is under way: calls wait for it
	StateReady                             // there is a connection
	StateTransientFailure                  // the last attempt has failed, the next is not due yet
	StateClosed                            // by Client.Close, for good
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
	backoff        Backoff
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

func (b Backoff) withDefaults() Backoff {
	if b.Base <= 0 {
		b.Base = time.Second
	}
	if b.Max <= 0 {
		b.Max = 120 * time.Second
	}
	if b.Multiplier < 1 {
		b.Multiplier = 1.6
	}
	if b.Jitter == 0 {
		b.Jitter = 0.2
	}
	b.Jitter = min(max(b.Jitter, 0), 1)
	return b
}

// delay is the time after the given number of failures in a row. chance is between -1 and 1.
func (b Backoff) delay(failures int, chance float64) time.Duration {
	d, most := float64(b.Base), float64(b.Max)
	for i := 1; i < failures && d < most; i++ {
		d *= b.Multiplier
	}
	return time.Duration(min(d, most) * (1 + b.Jitter*chance))
}

// chance is a number between -1 and 1, as random as a spread of delays needs it. (math/rand would
// be one package more.) It is one step of the generator splitmix64 on the time.
func chance() float64 {
	z := uint64(time.Now().UnixNano()) + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11)/(1<<52) - 1
}

// waitForReady is the key of WaitForReady in a context.
type waitForReady struct{}
