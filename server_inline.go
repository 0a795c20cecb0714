package ttrpc

import (
	"errors"
	"sync/atomic"
	"time"
)

// Handing a request to another goroutine costs more than most handlers do: it wakes a thread, and on an idle
// machine a processor. So a connection's goroutine runs a call itself while the connection is in a
// question-and-answer rhythm: each request finds nothing else in flight and the goroutine waiting for it, and the
// method has shown to be quick. Should such a call take long after all, a monitor starts another goroutine that
// reads on: the connection is held up for two of its ticks at the most, and the method is not trusted again
// for long.
const (
	quickRun    = 50 * time.Microsecond // what a quick run takes at the most
	quickEnough = 16                    // quick runs in a row that earn a method trust
	distrust    = -256                  // where it starts over after one that had to be taken over from
	monitorTick = time.Millisecond
	coolTicks   = 16 // after so many ticks without as many calls the rhythm is over
)

var errTakenOver = errors.New("ttrpc: another goroutine reads on")

// inline is the part of a server's connection that deals with this.
type inline struct {
	pace pace   // of requests that come alone; the reader's
	seq  uint64 // calls run so; the reader's
	off  bool   // the reader is a stream's consumer, who runs no calls
	ran  bool   // what was read last was a call that ran so; the reader's

	hot     atomic.Bool   // in rhythm, and the monitor's timer is set; cleared by the monitor
	running atomic.Uint64 // the seq of the call that the reader runs; whoever swaps it for 0 is the reader
	calls   atomic.Uint64 // seq, for the monitor
	renew   atomic.Bool   // the monitor has kicked the reader's goroutine to have it replaced

	timer *time.Timer // this and all below are guarded by the connection's lock
	seen  uint64      // running at the last tick
	ticks int         // since calls was looked at
	last  uint64      // calls then
}

// trusted reports whether the method has been quick.
func (m *method) trusted() bool { return m.quick.Load() >= quickEnough }

// judge counts how long a run took.
func (m *method) judge(took time.Duration) {
	quick := m.quick.Load()
	switch {
	case took > quickRun:
		m.quick.Store(min(quick, quickEnough) - quickEnough/2)
	case quick < quickEnough:
		m.quick.Store(quick + 1)
	}
}

// dispatch starts a call: on a worker, or right here. It returns errTakenOver when that took so long that
// another goroutine reads by now.
func (sc *serverConn) dispatch(call *serverCall) error {
	in := &sc.inline
	if !call.alone || call.stream != nil || len(sc.ch.unread) > 0 || in.off || sc.ch.reader.raw == nil {
		in.pace = pace{}
		sc.server.workers.run(call)
		return nil
	}
	call.timed = true
	if !call.method.trusted() || !in.hot.Load() && !(in.pace.quick() && sc.heat()) {
		sc.server.workers.run(call)
		return nil
	}
	return sc.runInline(call)
}

func (sc *serverConn) runInline(call *serverCall) error {
	in, m := &sc.inline, call.method
	in.seq++
	seq := in.seq // in is another goroutine's once that has taken over
	in.calls.Store(seq)
	in.running.Store(seq)
	if !in.hot.Load() && in.running.CompareAndSwap(seq, 0) { // the monitor has stopped: see there
		sc.server.workers.run(call)
		return nil
	}
	returned := false
	defer func() {
		if !returned && in.running.CompareAndSwap(seq, 0) {
			go sc.readOn() // runtime.Goexit in the handler takes this goroutine with it
		}
	}()
	call.serve()
	returned = true
	if !in.running.CompareAndSwap(seq, 0) {
		m.quick.Store(distrust)
		return errTakenOver
	}
	in.ran = true
	return nil
}

// heat starts the monitor.
func (sc *serverConn) heat() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	in := &sc.inline
	if sc.failed != nil {
		return false
	}
	in.hot.Store(true)
	if in.timer == nil {
		in.timer = time.AfterFunc(monitorTick, sc.monitor)
	} else {
		in.timer.Reset(monitorTick)
	}
	return true
}

// monitor is called at each tick while the connection is hot. It stops when hot is cleared and no call runs; a reader
// that is about to run one looks at hot after it has said so in running, so one of the two notices the other.
func (sc *serverConn) monitor() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	in := &sc.inline
	running := in.running.Load()
	if running != 0 && running == in.seen && in.running.CompareAndSwap(running, 0) {
		running = 0
		go sc.readOn()
	}
	in.seen = running
	if sc.failed != nil || in.coolLocked() {
		in.hot.Store(false)
		if in.running.Load() == 0 {
			in.renew.Store(true)
			sc.kickLocked() // have the goroutine replaced by one with a small stack
			return
		}
	}
	in.timer.Reset(monitorTick)
}

// coolLocked reports, once in coolTicks, whether the rhythm is over.
func (in *inline) coolLocked() bool {
	if in.ticks++; in.ticks < coolTicks {
		return false
	}
	calls := in.calls.Load() - in.last
	in.ticks, in.last = 0, in.last+calls
	return calls < coolTicks
}
