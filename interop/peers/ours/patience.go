package main

import (
	"context"
	"time"
)

// patience is how long something may take before it counts as hanging. It is counted in
// ticks, so that a machine that stands still for a while does not use it up.
type patience time.Duration

const patienceTick = 50 * time.Millisecond

// wait reports whether done was closed in time.
func (p patience) wait(done <-chan struct{}) bool {
	for range int(time.Duration(p) / patienceTick) {
		t := time.NewTimer(patienceTick)
		select {
		case <-done:
			t.Stop()
			return true
		case <-t.C:
		}
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// run reports whether f returned in time.
func (p patience) run(f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return p.wait(done)
}

// context is cancelled when patience ends. It has no deadline that a call would send.
func (p patience) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		p.wait(ctx.Done())
		cancel()
	}()
	return ctx, cancel
}
