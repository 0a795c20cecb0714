//go:build go1.25

package notify

import (
	"context"
	"testing"
	"testing/synctest"
)

// A signal wakes all who have called Wait before it, and nobody who calls it later.
func TestBroadcastWakesThoseWhoWait(t *testing.T) {
	var b Broadcast
	b.Signal()
	first, second := b.Wait(), b.Wait()
	select {
	case <-first:
		t.Fatal("a signal was kept")
	default:
	}
	b.Signal()
	<-first
	<-second
	select {
	case <-b.Wait():
		t.Fatal("a signal has woken a later waiter")
	default:
	}
}

// Whoever waits for a condition looks at once, and whenever something has changed.
func TestBroadcastAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Broadcast
		ctx, cancel := context.WithCancel(context.Background())
		looks, need := 0, 1
		await := func() <-chan error {
			result := make(chan error, 1)
			looks = 0
			go func() { result <- b.Await(ctx, func() bool { looks++; return looks == need }) }()
			synctest.Wait()
			return result
		}
		if err := <-await(); err != nil || looks != 1 {
			t.Fatal("after", looks, "looks:", err)
		}
		need = 3
		result := await()
		for signals := range 2 {
			if len(result) > 0 || looks != signals+1 {
				t.Fatal("after", signals, "signals and", looks, "looks:", len(result))
			}
			b.Signal()
			synctest.Wait()
		}
		if err := <-result; err != nil || looks != 3 {
			t.Fatal("after", looks, "looks:", err)
		}
		result = await()
		cancel()
		if err := <-result; err != context.Canceled || looks != 1 {
			t.Fatal("after", looks, "looks:", err)
		}
	})
}

// Any number of wake-ups are one for a receiver that has not looked, and nobody waits for it.
func TestOneKeepsOneWakeUp(t *testing.T) {
	ch := make(chan struct{}, 1)
	One(ch)
	One(ch)
	<-ch
	select {
	case <-ch:
		t.Fatal("there were two")
	default:
	}
}
