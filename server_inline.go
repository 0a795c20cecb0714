package ttrpc

import (
	"errors"
	"sync/atomic"
	"time"
)

// Handing a request to another goroutine costs more than most handlers do: it wakes a thread, and on an idle
// machine a processor. So a connection's goroutine runs a call itself while requests come often, where the method has
// shown to be quick: for a call that nobody else waits behind so quick that the handing over would take as long, for
// one among others so quick that it would take longer. Should such a call take long after all, a monitor starts
// another goroutine that reads on: the connection is held up for two of its ticks at the most. Unless the call ends soon
// after, the method is not trusted again for long, and twice as long each time. A stream of both sides is run so
// when it is alone; see server_loan.go for how it gets its messages.
const (
	quickRun    = 50 * time.Microsecond // what a run takes at the most, beside the time for its bytes
	briefRun    = 4 * time.Microsecond  // what runs take on average that may hold up others
	quickEnough = 16                    // quick runs that earn a method trust; it loses that with one that is not
	distrust    = 256                   // further ones that it takes after one that had to be taken over from
	maxDistrust = 1 << 20               // at the most
	soonEnded   = 10 * time.Millisecond // after the taking over: about as long as a busy machine has a thread wait
	monitorTick = time.Millisecond
	inlineFlush = 16 // answers that leave together at the most
	coolTicks   = 16 // after so many ticks without as many calls the rhythm is over
)

var errTakenOver = errors.New("ttrpc: another goroutine reads on")

// inline is the part of a server's connection that deals with this.
type inline struct {
	pace pace // of requests that could be run so; the reader's
	off  bool // the reader is a stream's consumer, who runs no calls; the reader's
	ran  int  // calls run so since answers were flushed last; the reader's
	lone bool // the last of them was the only one in flight; the reader's

	speed *speed // of the method run last; the reader's, and the monitor's when it takes over

	hot     atomic.Bool   // in rhythm, and the monitor's timer is set; cleared by the monitor
	run     atomic.Uint64 // goes up when a call begins, to an odd number, and by whoever is the reader after it
	overrun atomic.Uint64 // the run that the monitor has suspected last
	renew   atomic.Bool   // the monitor has kicked the reader's goroutine to have it replaced

	timer *time.Timer // this and all below are guarded by the connection's lock
	seen  uint64      // run at the last tick
	loan  uint64      // lent then
	moves uint64      // the rota's then
	ticks int         // since run was looked at for the rhythm
	last  uint64      // run then
}

// speed is what is known of how long a method takes. Its fields are changed by several goroutines without regard
// for each other: they are estimates.
type speed struct {
	quick    atomic.Int32 // goes up with quick runs, down by more with slow ones, far down with a suspicion; see quickEnough
	average  atomic.Int64 // of runs, in nanoseconds
	distrust atomic.Int32 // what the last suspicion has cost

	suspected atomic.Int64 // when that was, in nanoseconds on the clock
}

// trusted reports whether the method may be run by the reader.
func (s *speed) trusted(lone bool) bool {
	return s.quick.Load() >= quickEnough && (lone || time.Duration(s.average.Load()) <= briefRun)
}

// judge counts how long a run with a request of size bytes took.
func (s *speed) judge(took time.Duration, size int) {
	quick, average := s.quick.Load(), s.average.Load()
	s.average.Store(average + (int64(took)-average)/8)
	switch {
	case took > quickRun+byteTime(size):
		s.quick.Store(max(min(quick, quickEnough)-quickEnough/2, min(quick, -quickEnough)))
	case quick < quickEnough:
		s.quick.Store(quick + 1)
	}
}

// suspect says that a run was taken over from.
func (s *speed) suspect() {
	d := min(max(distrust, 2*s.distrust.Load()), maxDistrust)
	s.distrust.Store(d)
	s.quick.Store(-d)
	s.suspected.Store(int64(clock()))
}

// settle says that such a run has ended. One that did so soon was merely slow, and it may have been the machine.
func (s *speed) settle() {
	if clock()-time.Duration(s.suspected.Load()) < soonEnded {
		s.distrust.Store(s.distrust.Load() / 2)
		s.quick.Store(quickEnough)
		s.judge(monitorTick, 0)
	}
}

// dispatch starts a call: on a worker, or right here. It returns errTakenOver when that took so long that
// another goroutine reads by now.
func (sc *serverConn) dispatch(call *serverCall) error {
	in := &sc.inline
	lone := call.alone && (call.method.streamingClient || len(sc.ch.unread) == 0) // what has come behind a stream is likely to be its own
	call.timed = lone || call.sampled()
	if in.off || sc.ch.reader.raw == nil || !sc.suits(call.method, lone) ||
		!in.hot.Load() && !(in.pace.quick() && sc.heat()) {
		sc.server.workers.run(call)
		return nil
	}
	err := sc.runInline(call)
	if err == nil {
		in.lone = lone
	}
	return err
}

// suits reports whether the reader may run a call of the method. A stream that only receives gains more from a reader that reads
// ahead.
func (sc *serverConn) suits(m *method, lone bool) bool {
	return m.trusted(lone) && (!m.streamingClient || lone && m.streamingServer && sc.flow.solo())
}

// sampled picks one call in 16, in no rhythm that a client's calls could have: id/2 counts them, and the multiplication
// mixes it.
func (call *serverCall) sampled() bool { return call.id/2*0x9E3779B1>>28 == 0 }

// runInline leaves the flushing of the answer to the reader, unless that is another goroutine by then.
func (sc *serverConn) runInline(call *serverCall) error {
	in := &sc.inline // another goroutine's once that has taken over
	run := in.run.Load() + 1
	speed := &call.method.speed
	in.speed = speed
	if call.stream != nil {
		call.stream.run = run
	}
	in.run.Store(run)
	if !in.hot.Load() && in.run.CompareAndSwap(run, run+1) { // the monitor has stopped: see there
		sc.server.workers.run(call)
		return nil
	}
	returned := false
	defer func() {
		if !returned && sc.regain(run) {
			go sc.readOn() // runtime.Goexit in the handler takes this goroutine with it
		}
	}()
	call.serve()
	returned = true
	if !sc.regain(run) {
		if in.overrun.Load() == run {
			speed.settle()
		}
		sc.ch.flush(true)
		return errTakenOver
	}
	if in.ran++; in.ran == inlineFlush {
		sc.flushInline()
	}
	return nil
}

// flushInline sends the answers of calls that the reader has run.
func (sc *serverConn) flushInline() {
	if sc.inline.ran > 0 {
		sc.inline.ran = 0
		sc.ch.flush(false)
	}
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

// monitor is called at each tick while the connection is hot. It stops when hot is cleared, no call runs and nothing is lent; a
// reader that is about to run one looks at hot after it has said so in run, so one of the two notices the other.
func (sc *serverConn) monitor() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	in := &sc.inline
	run := in.run.Load()
	switch {
	case run%2 == 1 && run == in.seen && in.run.CompareAndSwap(run, run+1):
		in.suspect(run)
		run++
		go sc.readOn()
	case sc.lent != 0 && sc.lent == in.loan:
		sc.replaceLocked(sc.moves == in.moves)
	}
	in.seen, in.loan, in.moves = run, sc.lent, sc.moves
	if sc.failed != nil || in.coolLocked() {
		in.hot.Store(false)
		if in.run.Load()%2 == 0 && sc.lent == 0 {
			in.renew.Store(true)
			sc.kickLocked() // have the goroutine replaced by one with a small stack
			return
		}
	}
	in.timer.Reset(monitorTick)
}

// suspect says that a run takes long.
func (in *inline) suspect(run uint64) {
	in.overrun.Store(run)
	in.speed.suspect()
}

// coolLocked reports, once in coolTicks, whether the rhythm is over.
func (in *inline) coolLocked() bool {
	if in.ticks++; in.ticks < coolTicks {
		return false
	}
	calls := (in.run.Load() - in.last) / 2
	in.ticks, in.last = 0, in.run.Load()
	return calls < coolTicks
}
