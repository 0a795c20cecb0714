package pipe

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Random returns a direction with faults chosen by r, for about so many bytes of traffic: pieces of
// any size, delays, short stalls, and at most one end of the connection. Its text says which.
func Random(r *rand.Rand, bytes int64) (o Options, text string) {
	if r.IntN(4) == 0 {
		o.Capacity = 1 + r.IntN(300)
	}
	if most := 1 << r.IntN(12); r.IntN(2) == 0 {
		o.Chunk = func() int { return 1 + r.IntN(most) }
		text += fmt.Sprintf(" pieces of up to %d", most)
	}
	if most := time.Duration(1 + r.Int64N(int64(3*time.Millisecond))); r.IntN(3) == 0 {
		o.Delay = func() time.Duration { return time.Duration(r.Int64N(int64(most))) }
		text += fmt.Sprintf(" delays of up to %v", most)
	}
	at := int64(0)
	for range r.IntN(3) {
		at += r.Int64N(1 + r.Int64N(bytes))
		f := Fault{At: at, Kind: Stall, For: 1 + time.Duration(r.Int64N(int64(20*time.Millisecond)))}
		o.Faults = append(o.Faults, f)
		text += fmt.Sprintf(" %v at %d for %v", f.Kind, f.At, f.For)
	}
	if r.IntN(2) == 0 {
		f := Fault{At: at + r.Int64N(1+r.Int64N(bytes)), Kind: Cut + Kind(r.IntN(3))}
		o.Faults = append(o.Faults, f)
		text += fmt.Sprintf(" %v at %d", f.Kind, f.At)
	}
	return o, fmt.Sprintf("capacity %d%s", o.Capacity, text)
}
