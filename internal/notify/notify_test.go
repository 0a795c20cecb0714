package notify

import "testing"

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
