//go:build go1.25

package threads

import (
	"runtime"
	"testing"
	"time"
)

func TestIsLocked(t *testing.T) {
	done := make(chan struct{})
	go func() { // its thread ends with it
		defer close(done)
		if IsLocked() {
			t.Error("a goroutine is locked from its start")
		}
		runtime.LockOSThread()
		if !IsLocked() {
			t.Error("a locked goroutine is not")
		}
	}()
	<-done
}

// The first runs are looked at, then the long ones and some of the others: all of them again once a
// look has found something.
func TestWorthLooking(t *testing.T) {
	var u Use
	for range lookFirst {
		if !u.WorthLooking(0, 1) {
			t.Fatal("a first run is not looked at")
		}
		u.Looked(false)
	}
	if u.WorthLooking(0, 1) || !u.WorthLooking(time.Second, 1) || !u.WorthLooking(0, lookEvery) {
		t.Error("which later run is looked at is not as it should be")
	}
	if !u.Looked(true) || u.Looked(false) || !u.WorthLooking(0, 1) {
		t.Error("a function that has taken a thread is not looked at")
	}
}
