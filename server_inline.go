package ttrpc

import (
	"errors"
	"os"
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
	rhythm      = 8                     // requests in a row that make a rhythm
	quickRun    = 50 * time.Microsecond // what a quick run takes at the most
	quickEnough = 16                    // quick runs in a row that earn a method trust
	distrust    = -256                  // where it starts over after a slow one
	monitorTick = time.Millisecond
	coolTicks   = 64 // ticks without such a call after which the rhythm is over
)

var errTakenOver = errors.New("ttrpc: another goroutine reads on")

// inline is the part of a server's connection that deals with this.
type inline struct {
	streak int    // requests in rhythm; the reader's
	seq    uint64 // calls run so; the reader's

	running atomic.Uint64 // the seq of the call that the reader runs; whoever swaps it for 0 is the reader
	armed   atomic.Bool   // the monitor's timer is
	grown   atomic.Bool   // the goroutine has run handlers: its stack has grown
	renew   atomic.Bool   // the monitor has set a read deadline to have it replaced
	timer   *time.Timer   // guarded by the connection's lock
	seen    uint64        // running at the last tick; the monitor's
	done    uint64        // calls at the last tick; the monitor's
	idle    int           // ticks without a call; the monitor's
	count   atomic.Uint64 // seq, for the monitor
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
	if !call.alone || call.stream != nil || len(sc.ch.unread) > 0 {
		sc.inline.streak = 0
		sc.server.workers.run(call)
		return nil
	}
	sc.inline.streak++
	call.timed = true
	if sc.inline.streak < rhythm || !call.method.trusted() {
		sc.server.workers.run(call)
		return nil
	}
	return sc.runInline(call)
}

func (sc *serverConn) runInline(call *serverCall) error {
	in, m := &sc.inline, call.method
	in.seq++
	seq := in.seq // after a take-over in.seq is another reader's
	in.running.Store(seq)
	in.count.Store(seq)
	in.grown.Store(true)
	if !in.armed.Load() && in.armed.CompareAndSwap(false, true) {
		sc.armMonitor()
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
	return nil
}

func (sc *serverConn) armMonitor() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	switch {
	case sc.failed != nil && sc.active == 0:
		return
	case sc.inline.timer == nil:
		sc.inline.timer = time.AfterFunc(monitorTick, sc.monitor)
	default:
		sc.inline.timer.Reset(monitorTick)
	}
}

// monitor is called at each tick while the rhythm lasts.
func (sc *serverConn) monitor() {
	in := &sc.inline
	running := in.running.Load()
	if running != 0 && running == in.seen && in.running.CompareAndSwap(running, 0) {
		go sc.readOn()
	}
	in.seen = running
	if count := in.count.Load(); count != in.done {
		in.done, in.idle = count, 0
	} else {
		in.idle++
	}
	if in.idle < coolTicks {
		sc.armMonitor()
		return
	}
	in.idle = 0
	in.armed.Store(false)
	if in.running.Load() != 0 && in.armed.CompareAndSwap(false, true) {
		sc.armMonitor() // a call has begun meanwhile, and relied on the monitor
		return
	}
	if in.grown.CompareAndSwap(true, false) && sc.ch.reader.raw != nil {
		in.renew.Store(true)
		_ = sc.ch.conn.SetReadDeadline(time.Unix(1, 0)) // have the goroutine replaced by one with a small stack
	}
}

// isRenewal reports whether a read failed only to have its goroutine replaced. Deadlines of anybody else's are
// errors like any other.
func (sc *serverConn) isRenewal(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || !sc.inline.renew.CompareAndSwap(true, false) {
		return false
	}
	return sc.ch.conn.SetReadDeadline(time.Time{}) == nil
}
