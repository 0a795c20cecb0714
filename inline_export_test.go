//go:build go1.25

package ttrpc

import (
	"runtime"
	"strings"

	"github.com/containerd/ttrpc/internal/runner"
)

// This is what tests need to see of which calls a loop runs itself. It goes with inline.go of
// internal/runner.

// IsRunByLoop reports whether the handler that asks is run by the loop of its connection.
func IsRunByLoop() bool {
	var pcs [20]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "internal/runner.(*inline).run") || !more {
			return more
		}
	}
}

// ForceInline has the loops run the next calls of all methods that have been called, as if these
// had been brief and frequent for long: however slow the machine is.
// It does so for none that one had to be taken over from.
func ForceInline(s *Server) {
	eachMethod(s, func(m *runner.Method) { runner.ForceInline(&s.runner, m) })
}

// ForgetTakeOvers has methods begin anew that one had to be taken over from, which a machine may
// cause that lets the loop stand still for some milliseconds.
func ForgetTakeOvers(s *Server) { eachMethod(s, runner.ForgetTakeOver) }

func eachMethod(s *Server, f func(m *runner.Method)) {
	for _, svc := range s.registry.services.All() {
		for _, m := range svc.composed.All() {
			f(&m.runs)
		}
	}
}

// TookOver reports whether one of the server's methods has been taken over from.
func TookOver(s *Server) (yes bool) {
	eachMethod(s, func(m *runner.Method) { yes = yes || runner.TookOver(m) })
	return yes
}

// MonitorRuns reports whether somebody watches over such calls.
func MonitorRuns(s *Server) bool { return runner.MonitorRuns(&s.runner) }

// TakeSlots takes all free slots of such calls, until free is called.
func TakeSlots(s *Server) (free func()) { return runner.TakeSlots(&s.runner) }
