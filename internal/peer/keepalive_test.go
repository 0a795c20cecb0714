//go:build go1.25

package peer

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
)

const (
	interval = time.Minute
	timeout  = 10 * time.Second
)

// elapse lets time pass in a bubble.
func elapse(d time.Duration) {
	<-time.NewTimer(d).C
	synctest.Wait()
}

// What counts as a sign of life within the time of a check, and what does not.
func TestKeep(t *testing.T) {
	for name, c := range map[string]struct {
		state  State
		before func(r *rig) // the check
		after  func(r *rig) // the Ping has gone out
		late   func(r *rig) // the end of the time is near
		silent bool
	}{
		"nothing":                     {state: Known, silent: true},
		"nothing of a greeted peer":   {state: Greeted, silent: true},
		"a peer that is not known":    {state: Unknown},
		"extensions off":              {state: Off},
		"a Pong":                      {state: Known, after: func(r *rig) { r.HandlePong([]byte(number(1))) }},
		"a Pong at the last moment":   {state: Known, late: func(r *rig) { r.HandlePong([]byte(number(1))) }},
		"another Pong":                {state: Known, after: func(r *rig) { r.HandlePong([]byte(number(2))) }, silent: true},
		"something was read":          {state: Known, after: func(r *rig) { r.lastRead++ }},
		"it was read in the end":      {state: Known, late: func(r *rig) { r.lastRead++ }},
		"something was read before":   {state: Known, before: func(r *rig) { r.lastRead++ }, silent: true},
		"a consumer is waited for":    {state: Known, after: func(r *rig) { r.waits = true }},
		"written, without a backlog":  {state: Known, after: func(r *rig) { r.progress++ }, silent: true},
		"a backlog that stands":       {state: Known, before: func(r *rig) { r.unwritten++ }, silent: true},
		"a backlog that moves":        {state: Known, before: func(r *rig) { r.unwritten++ }, after: func(r *rig) { r.progress++ }},
		"a backlog that has moved":    {state: Known, before: func(r *rig) { r.unwritten++; r.progress++ }},
		"a backlog that comes, moves": {state: Known, after: func(r *rig) { r.unwritten++; r.progress++ }},
		"a backlog that goes": {state: Known, before: func(r *rig) { r.unwritten++ },
			after: func(r *rig) { r.unwritten--; r.progress++ }},
		"writing has failed":            {state: Known, before: func(r *rig) { r.refuses = errEnded }, silent: true},
		"the connection ends before":    {state: Known, before: func(r *rig) { r.End(errEnded) }},
		"the connection ends meanwhile": {state: Known, after: func(r *rig) { r.End(errEnded) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(c.state)
				Keep(&r.Liveness, interval, timeout)
				for _, step := range []struct {
					do   func(r *rig)
					then time.Duration
				}{{c.before, interval}, {c.after, timeout - grace}, {c.late, grace}} {
					if step.do != nil {
						r.change(step.do)
					}
					elapse(step.then)
				}
				testkit.Equal(t, len(get(r, &r.silent)) > 0, c.silent)
				r.End(errEnded)
			})
		})
	}
}

// A peer is asked an interval after each answer, until the connection has ended.
func TestKeepGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Known)
		r.change(func(r *rig) { r.answers = true })
		Keep(&r.Liveness, interval, timeout)
		elapse(10*interval - 1)
		testkit.Equal(t, len(get(r, &r.posted)), 9)
		r.change(func(r *rig) { r.answers = false })
		elapse(interval)
		elapse(timeout)
		testkit.Equal(t, len(get(r, &r.posted)), 10)
		testkit.Equal(t, len(get(r, &r.silent)), 1)
		testkit.Equal(t, get(r, &r.silent)[0], timeout)
		elapse(time.Hour)
		testkit.Equal(t, len(get(r, &r.posted)), 10)
		testkit.Equal(t, len(get(r, &r.silent)), 1)
	})
}

// A backlog that has moved once, and stands since, is no sign of life for ever.
func TestKeepBesideABacklogThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Known)
		r.change(func(r *rig) { r.unwritten, r.progress = 1, 1 })
		Keep(&r.Liveness, interval, timeout)
		elapse(interval + timeout)
		testkit.Equal(t, len(get(r, &r.silent)), 0)
		elapse(interval + timeout)
		testkit.Equal(t, len(get(r, &r.silent)), 1)
	})
}

// Without an interval nobody is asked, nor is anybody once the connection has ended.
func TestKeepOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Known)
		Keep(&r.Liveness, 0, timeout)
		elapse(time.Hour)
		r.End(errEnded)
		Keep(&r.Liveness, interval, timeout)
		elapse(time.Hour)
		testkit.Equal(t, len(get(r, &r.posted)), 0)
		testkit.Equal(t, r.pings.timer == nil, true)
		r = newRig(Known)
		Keep(&r.Liveness, interval, timeout)
		r.End(errEnded)
		testkit.Equal(t, r.pings.timer.Stop(), false) // End has stopped it
		var unused Liveness
		unused.End(errEnded)
	})
}
