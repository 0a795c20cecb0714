package redial

import "errors"

// State is how far a Redialer has come with its connection.
//
//	from        event                                           to
//	Idle        a call comes                                    Connecting
//	Connecting  there is a connection                           Ready
//	Connecting  the attempt fails                               Failed
//	Ready       the connection ends, or takes no further calls  Idle
//	Ready       the same, soon, before a call has succeeded     Failed
//	Failed      the delay is over, and a call waits             Connecting
//	Failed      the delay is over, and none waits               Idle
//	any         Close                                           Closed
type State uint8

// The states of a Redialer.
const (
	Idle       State = iota // no connection, until a call comes
	Connecting              // an attempt is under way: calls wait for it
	Ready                   // there is a connection
	Failed                  // the last attempt has failed, the next is not due yet
	Closed                  // by Close, for good
)

// A Failure is why there is no connection. It is plain data.
type Failure struct {
	Cause  error // of the last attempt, or of the connection's end
	Closed bool  // there will be no further attempt: Close was called
}

// errStillConnecting is the cause before anything has failed.
var errStillConnecting = errors.New("the first attempt has not ended")
