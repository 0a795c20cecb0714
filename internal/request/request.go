// Package request keeps the request of a call that runs on a server: bytes that its method may
// decode, more than once and by any goroutine, until it has returned.
package request

import (
	"errors"
	"sync"
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

// errLate is the error of decoding a request whose method has returned.
var errLate = errors.New("ttrpc: unmarshal called after the method returned")

// keyValueCost is what a KeyValue takes in memory beside its text, roughly; on the wire it may have
// two bytes.
const keyValueCost = 100

// Request is the request of one call, and after Drop and the next Take that of another. The zero
// value is ready for Take. The call's own goroutine uses all methods but Decode, which is for any.
type Request struct {
	timeout  time.Duration
	metadata int // KeyValues
	cost     int

	mu      sync.Mutex  // guards all below against Drop; nobody who is late looks further than uses
	frame   *wire.Frame // nil once the method has returned
	payload []byte      // in frame
	uses    uint64      // how often a request was dropped
}

// Take takes the frame of a Request, which was parsed to v.
func (r *Request) Take(f *wire.Frame, v *wire.RequestView) {
	r.timeout, r.metadata = time.Duration(v.Timeout), v.Metadata
	r.cost = f.Len() + v.Metadata*keyValueCost
	r.frame = f
	r.payload = f.Data()[v.PayloadAt : v.PayloadAt+v.PayloadLen]
}

// Timeout is how long the client waits for the call; 0 is no bound.
func (r *Request) Timeout() time.Duration { return r.timeout }

// Cost is how many bytes of memory the request takes. It is known after Drop, too.
func (r *Request) Cost() int { return r.cost }

// Data is the whole envelope, before Drop.
func (r *Request) Data() []byte { return r.frame.Data() }

// Sizes are how many bytes the message has, and its frame, before Drop.
func (r *Request) Sizes() (message, frame int) { return len(r.payload), r.frame.Len() }

// Metadata is the call's, or nil, before Drop.
func (r *Request) Metadata() map[string][]string {
	if r.metadata == 0 {
		return nil
	}
	return wire.RequestMetadata(r.frame.Data(), r.metadata)
}

// AsData returns the message as Data, a stream's first, before Drop. The frame is the caller's.
func (r *Request) AsData() *wire.Frame {
	f := wire.StartFrame(len(r.payload))
	f.Append(r.payload)
	f.Seal(wire.TypeData, 0)
	return f
}

// Use tells this request from those that the object has later, for Decode.
func (r *Request) Use() uint64 { return r.uses }

// Decode decodes the message into m by a function that keeps none of its bytes, or returns errLate
// where that use has ended.
func (r *Request) Decode(use uint64, m any, by func(b []byte, m any) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.uses != use {
		return errLate
	}
	return by(r.payload, m)
}

// Drop frees the request, if that has not happened: who decodes it from now on is late.
func (r *Request) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frame != nil {
		r.uses++
		r.frame.Free()
		r.frame, r.payload = nil, nil
	}
}
