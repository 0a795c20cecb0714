package redial

import "time"

// Backoff is how long it takes from the beginning of an attempt that fails to the next one: Base,
// then each time Multiplier times as long, but Max at the most. Jitter is the part of the delay by
// which chance makes it longer or shorter.
type Backoff struct {
	Base, Max          time.Duration
	Multiplier, Jitter float64
}

// WithDefaults has grpc's values where a field is zero, and no jitter where it is below zero.
func (b Backoff) WithDefaults() Backoff {
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
