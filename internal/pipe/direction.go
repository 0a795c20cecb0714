package pipe

import (
	"io"
	"time"
)

// defaultCapacity is what a direction holds before its writer waits.
const defaultCapacity = 64 << 10

// Options are how one direction behaves; the zero value is a sound one.
type Options struct {
	Capacity int                  // bytes under way before the writer waits; 0: 64 KiB
	Chunk    func() int           // the most that the next Read returns; nil: whatever there is
	Delay    func() time.Duration // how much later the bytes of the next Write arrive; nil: at once
	Faults   []Fault              // in the order of their offsets
}

// direction is the bytes under way from one end to the other.
type direction struct {
	Options
	chunks  []chunk // in order of arrival
	held    int     // bytes in chunks
	written int64   // bytes ever accepted
	arrival time.Time
	stuck   bool // what is written from here on does not arrive before a resume
	ended   bool // no more will be accepted
}

// chunk is bytes, or the end, which arrives behind all bytes and stays.
type chunk struct {
	b     []byte
	end   bool
	at    time.Time // when it can be read; zero: now
	stuck bool
}

func newDirection(o Options) *direction {
	d := &direction{Options: o}
	d.setCapacityLocked(o.Capacity)
	return d
}

func (d *direction) setCapacityLocked(n int) {
	if d.Capacity = n; n <= 0 {
		d.Capacity = defaultCapacity
	}
}

// takeLocked reads what has arrived, or the end; with nothing there it says how long until
// something does, if that is known.
func (d *direction) takeLocked(b []byte) (n int, wait time.Duration, err error) {
	if len(d.chunks) == 0 || d.chunks[0].stuck {
		return 0, 0, nil
	}
	first := &d.chunks[0]
	if !first.at.IsZero() {
		if left := time.Until(first.at); left > 0 {
			return 0, left, nil
		}
	}
	if first.end {
		return 0, 0, io.EOF
	}
	if d.Chunk != nil {
		b = b[:min(len(b), max(1, d.Chunk()))]
	}
	n = copy(b, first.b)
	first.b = first.b[n:]
	if len(first.b) == 0 {
		d.chunks = d.chunks[1:]
	}
	d.held -= n
	return n, 0, nil
}

// spaceLocked is how many more bytes the direction takes, up to the next fault.
func (d *direction) spaceLocked() int {
	n := max(0, d.Capacity-d.held)
	if len(d.Faults) > 0 {
		n = int(min(int64(n), d.Faults[0].At-d.written))
	}
	return n
}

func (d *direction) acceptLocked(b []byte) {
	d.written += int64(len(b))
	d.held += len(b)
	d.addLocked(chunk{b: append([]byte(nil), b...)})
}

// endLocked sends the end behind all that has been written.
func (d *direction) endLocked() {
	if !d.ended {
		d.ended = true
		d.addLocked(chunk{end: true})
	}
}

func (d *direction) addLocked(c chunk) {
	if d.Delay != nil {
		d.laterLocked(d.Delay())
	}
	c.at, c.stuck = d.arrival, d.stuck
	d.chunks = append(d.chunks, c)
}

// laterLocked puts off the arrival of what is written from here on: bytes never overtake others.
func (d *direction) laterLocked(by time.Duration) {
	if by <= 0 {
		return
	}
	if at := time.Now().Add(by); at.After(d.arrival) {
		d.arrival = at
	}
}

// resumeLocked lets arrive what is stuck.
func (d *direction) resumeLocked() {
	d.stuck = false
	for i := range d.chunks {
		d.chunks[i].stuck = false
	}
}
