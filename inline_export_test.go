//go:build go1.25

package ttrpc

import (
	"runtime"
	"strings"
)

// This is what tests need to see of which calls a loop runs itself. It goes with inline.go.

// IsRunByLoop reports whether the handler that asks is run by the loop of its connection.
func IsRunByLoop() bool {
	var pcs [20]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "(*inline).run") || !more {
			return more
		}
	}
}

// ForceInline has the loops run the next calls of all methods that have been called, as if these
// had been brief and frequent for long: however slow the machine is.
// It does so for none that one had to be taken over from.
func ForceInline(s *Server) {
	eachBrevity(s, func(b *brevity) {
		if brief := b.brief.Load(); brief != tookOver {
			b.brief.CompareAndSwap(brief, briefRuns)
		}
	})
	s.inline.mu.Lock()
	defer s.inline.mu.Unlock()
	s.inline.startLocked()
}

// ForgetTakeOvers has methods begin anew that one had to be taken over from, which a machine may
// cause that lets the loop stand still for some milliseconds.
func ForgetTakeOvers(s *Server) {
	eachBrevity(s, func(b *brevity) { b.brief.CompareAndSwap(tookOver, 0) })
}

func eachBrevity(s *Server, f func(b *brevity)) {
	for _, svc := range s.registry.services.All() {
		for _, m := range svc.composed.All() {
			f(&m.brevity)
		}
	}
}

// TookOver reports whether one of the server's methods has been taken over from.
func TookOver(s *Server) (yes bool) {
	eachBrevity(s, func(b *brevity) { yes = yes || b.brief.Load() == tookOver })
	return yes
}

// MonitorRuns reports whether somebody watches over such calls.
func MonitorRuns(s *Server) bool { return s.inline.ticking.Load() }

// TakeSlots takes all free slots of such calls, until free is called.
func TakeSlots(s *Server) (free func()) {
	var taken []*inlineSlot
	for slot := s.inline.claim(new(serverConn), nil); slot != nil; slot = s.inline.claim(new(serverConn), nil) {
		taken = append(taken, slot)
	}
	return func() {
		for _, slot := range taken {
			slot.sc.Store(nil)
		}
	}
}
