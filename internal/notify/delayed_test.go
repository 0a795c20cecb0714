//go:build go1.25

package notify

import "testing"

// woken takes a wake-up.
func woken(consumer chan struct{}) bool {
	select {
	case <-consumer:
		return true
	default:
		return false
	}
}

// wantWoken wants a consumer to have been woken, or not.
func wantWoken(t *testing.T, consumer chan struct{}, want bool) {
	t.Helper()
	if woken(consumer) != want {
		t.Fatal("whether the consumer has been woken is not", want)
	}
}

// The consumer of a large message is woken later, for another one's, or by the caller when it has
// got enough.
func TestDelayed(t *testing.T) {
	var d Delayed
	a, b := make(chan struct{}, 1), make(chan struct{}, 1)
	d.Wake()
	for range 2 {
		if !d.Delay(a, 100_000) {
			t.Fatal("the caller is to wake it")
		}
		wantWoken(t, a, false)
	}
	if d.Delay(a, 100_000) {
		t.Fatal("it has got enough, and is to be woken later")
	}
	d.Wake()
	wantWoken(t, a, false) // the caller does

	d.Delay(a, 100_000)
	d.Delay(b, 200_000)
	wantWoken(t, a, true)
	wantWoken(t, b, false)
	d.Wake()
	wantWoken(t, b, true)
	d.Wake()
	wantWoken(t, b, false)
}

// One that has got nothing for a while is woken then.
func TestDelayedStale(t *testing.T) {
	var d Delayed
	consumer := make(chan struct{}, 1)
	d.WakeStale()
	for range 2 {
		d.Delay(consumer, 100_000)
		d.WakeStale()
		wantWoken(t, consumer, false)
	}
	d.WakeStale()
	wantWoken(t, consumer, true)
	d.WakeStale()
	wantWoken(t, consumer, false)
}
