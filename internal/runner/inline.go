package runner

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/transport"
)

// Handing the reading of a connection, or a request, to another goroutine wakes a thread, which
// costs more than most handlers take. So the loop runs a unary call itself, and reads on behind it,
// where the method has been brief in each of its last runs. Should such a call take long after all,
// the server's monitor starts another loop, and the method is never run so again: that is the one
// time at which it holds up its connection, for up to two ticks.
//
//	turn of a connection   meaning
//	even                   nothing is run so
//	odd                    the loop runs a call; whoever makes it even goes on reading:
//	                       the loop when the call has ended, or the monitor, for a new loop
//
// Without this file, and the lines that end with an inline mark, all calls run on workers.
const (
	briefRun    = 20 * time.Microsecond // what a run takes at the most, beside the time for its bytes
	briefRuns   = 16                    // in a row that earn it; one that takes longer begins anew
	inlineTick  = 5 * time.Millisecond  // of the monitor: half of Go's time slice for a goroutine
	inlineIdle  = 4                     // ticks without a call after which the monitor stops
	inlinePace  = 16                    // calls in inlineTime that are worth a monitor
	inlineTime  = 4 * time.Millisecond
	inlineFlush = 16 // answers that leave together at the most
	inlineSlots = 16 // calls that are run so at a time, of all connections
)

// brevity is what is known of how long a method's runs take: how many were brief in a row,
// or tookOver.
type brevity struct{ brief atomic.Int32 }

const tookOver = -1 // one had to be taken over from, or was seen to lock its goroutine to a thread

// observe counts a run, with a request of so many bytes. locked says that the run has left its
// goroutine locked to a thread.
func (b *brevity) observe(took time.Duration, bytes int, locked bool) {
	brief := b.brief.Load()
	switch {
	case brief == tookOver:
	case locked:
		b.brief.Store(tookOver)
	case took > briefRun+time.Duration(bytes): // a nanosecond a byte, to decode, copy and encode it
		b.brief.CompareAndSwap(brief, 0)
	case brief < briefRuns:
		b.brief.CompareAndSwap(brief, brief+1)
	}
}

// inline is the server's part of this.
type inline struct {
	_ [0]func() // no code is made that compares two of these

	slots   [inlineSlots]inlineSlot
	ticking atomic.Bool   // the monitor looks at the slots
	calls   atomic.Uint32 // counts calls that could be run so

	mu    sync.Mutex // guards all below
	timer *time.Timer
	since time.Duration // the clock when calls was last a multiple of inlinePace
	ran   uint32        // calls at the last tick
	idle  int           // ticks in a row without calls
}

// inlineSlot is a call that is being run so.
type inlineSlot struct {
	_ [0]func() // no code is made that compares two of these

	conn   atomic.Pointer[Conn]
	method atomic.Pointer[Method]

	seen *Conn  // at the last tick; the monitor's
	turn uint64 // its turn then; the monitor's
}

// inlineConn is a connection's part. All but turn belongs to whoever is the loop.
type inlineConn struct {
	turn      atomic.Uint64
	unflushed transport.Unwritten // the last answer that is to be flushed
	answers   int                 // how many are
}

// run runs a call on the loop, if it may. gone says that another goroutine is the loop now, and the
// caller has to leave.
func (in *inline) run(c *Conn, call Call) (ran, gone bool) {
	m, size := call.record().method, call.record().size
	slot, turn := in.begin(c, m, call)
	if slot == nil {
		return false, false
	}
	returned := false
	defer func() {
		if !returned && c.turn.CompareAndSwap(turn, turn+1) { // runtime.Goexit takes this goroutine
			slot.conn.Store(nil)
			c.runner.workers.standIn(c)
		}
	}()
	began := transport.Clock()
	posted := call.Serve(began)
	took := transport.Clock() - began
	returned = true
	if !c.turn.CompareAndSwap(turn, turn+1) {
		posted.Flush(true)
		return true, true
	}
	slot.conn.Store(nil)
	locked := m.hasRun(took, size, int(turn/2))
	if c.answered(posted); locked {
		c.runner.workers.standIn(c)
	}
	return true, locked
}

// begin makes the turn odd, if the loop may run a call of a method. The slot is nil if it may not.
func (in *inline) begin(c *Conn, m *Method, call Call) (slot *inlineSlot, turn uint64) {
	if m.brief.Load() < briefRuns || call.record().mayWait || c.runner.workers.fresh || !c.t.CanTry() || !in.watch() {
		return nil, 0
	}
	if slot = in.claim(c, m); slot == nil {
		return nil, 0
	}
	turn = c.turn.Add(1)
	if !in.ticking.Load() && c.turn.CompareAndSwap(turn, turn+1) { // the monitor has just stopped
		slot.conn.Store(nil)
		return nil, 0
	}
	return slot, turn
}

// claim puts a call into a free slot.
func (in *inline) claim(c *Conn, m *Method) *inlineSlot {
	for i := range in.slots {
		slot := &in.slots[i]
		if slot.conn.Load() == nil && slot.conn.CompareAndSwap(nil, c) {
			slot.method.Store(m)
			return slot
		}
	}
	return nil
}

// answered leaves the flushing to the end of the read.
func (c *inlineConn) answered(posted transport.Unwritten) {
	c.unflushed = posted
	if c.answers++; c.answers >= inlineFlush {
		c.flushAnswers()
	}
}

// flushAnswers sends the answers of calls that the loop has run, and reports whether there were
// any.
func (c *inlineConn) flushAnswers() bool {
	if c.answers == 0 {
		return false
	}
	c.answers = 0
	c.unflushed.Flush(false)
	return true
}

// watch counts a call that could be run by its loop, and reports whether the monitor runs. It
// starts the monitor when such calls come often.
// With one processor there is nobody who could take over in time.
func (in *inline) watch() bool {
	n := in.calls.Add(1)
	if in.ticking.Load() {
		return true
	}
	if n%inlinePace != 0 {
		return false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	now := transport.Clock()
	took := now - in.since
	in.since = now
	return took <= inlineTime && in.startLocked()
}

// startLocked starts the monitor, if it may run, and reports whether it does.
func (in *inline) startLocked() bool {
	if runtime.GOMAXPROCS(0) == 1 {
		return false
	}
	if in.ticking.Load() {
		return true
	}
	in.idle = 0
	in.ticking.Store(true)
	if in.timer == nil {
		in.timer = time.AfterFunc(inlineTick, in.tick)
	} else {
		in.timer.Reset(inlineTick)
	}
	return true
}

// tick is the monitor. A call that is in its slot for a whole tick is taken over from. The monitor
// stops when nothing has been run for a while; a loop that is about to run a call looks at ticking
// once it has made its turn odd, so one of the two notices the other.
func (in *inline) tick() {
	in.mu.Lock()
	defer in.mu.Unlock()
	busy := false
	for i := range in.slots {
		busy = in.look(&in.slots[i]) || busy
	}
	calls := in.calls.Load()
	if in.idle++; calls != in.ran || busy {
		in.idle = 0
	}
	in.ran = calls
	if in.idle >= inlineIdle || runtime.GOMAXPROCS(0) == 1 {
		in.ticking.Store(false)
		if !in.anyBusy() {
			return
		}
		in.ticking.Store(true)
	}
	in.timer.Reset(inlineTick)
}

func (in *inline) anyBusy() bool {
	for i := range in.slots {
		if in.slots[i].conn.Load() != nil {
			return true
		}
	}
	return false
}

// look takes over from the slot's call, if it was there at the last tick.
// It reports whether there is one.
func (in *inline) look(slot *inlineSlot) (busy bool) {
	c := slot.conn.Load()
	if c == nil {
		slot.seen = nil
		return false
	}
	turn := c.turn.Load()
	if slot.seen != c || slot.turn != turn || turn%2 == 0 {
		slot.seen, slot.turn = c, turn
		return true
	}
	m := slot.method.Load()
	if !c.turn.CompareAndSwap(turn, turn+1) {
		return true
	}
	m.brief.Store(tookOver)
	slot.seen = nil
	slot.conn.Store(nil)
	c.runner.workers.standIn(c)
	return false
}

// What follows is for the library's tests: they force, and see, what a machine's speed decides.

// ForceInline has the loops run the next calls of a method as if it had been brief for long, and
// its calls came often: not where one had to be taken over from.
func ForceInline(r *Runner, m *Method) {
	if brief := m.brief.Load(); brief != tookOver {
		m.brief.CompareAndSwap(brief, briefRuns)
	}
	r.inline.mu.Lock()
	defer r.inline.mu.Unlock()
	r.inline.startLocked()
}

// TookOver reports whether a method's call had to be taken over from.
func TookOver(m *Method) bool { return m.brief.Load() == tookOver }

// ForgetTakeOver has a method begin anew.
func ForgetTakeOver(m *Method) { m.brief.CompareAndSwap(tookOver, 0) }

// MonitorRuns reports whether somebody watches over the calls that loops run.
func MonitorRuns(r *Runner) bool { return r.inline.ticking.Load() }

// TakeSlots takes all free slots of such calls, until free is called.
func TakeSlots(r *Runner) (free func()) {
	var taken []*inlineSlot
	for slot := r.inline.claim(new(Conn), nil); slot != nil; slot = r.inline.claim(new(Conn), nil) {
		taken = append(taken, slot)
	}
	return func() {
		for _, slot := range taken {
			slot.conn.Store(nil)
		}
	}
}
