// Package flow bounds what the streams of a connection hold: what each side may send, and what it
// has received and not taken. It is numbers alone, and knows no frame.
//
// Streams between two peers that know the extensions have windows. A direction of a stream is under
// control from the first limit on that its sender is told: it may begin a message while the sum of
// all before, each counted with its header, is below the limit. Until then it sends freely, so that
// short streams, and those whose consumer keeps up, cost nothing.
package flow

import "math"

// Limit is a limit of bytes that the sender of a stream is told, if it is due. It is plain data.
type Limit struct {
	Bytes uint64 // that it may have sent altogether when it begins a message
	Due   bool
}

// NoLimit is the limit that lifts the control.
const NoLimit = math.MaxUint64
