package ttrpc

import (
	"sync"
	"time"

	"github.com/containerd/ttrpc/internal/threads"
	"github.com/containerd/ttrpc/internal/transport"
)

const (
	workerIdle = 2 * time.Second // a worker unused for between one and two of these ends
	workerKeep = 1024            // workers parked at most
)

// workers runs calls on goroutines whose stacks have grown already: a fresh one grows its stack
// anew in every call. A call never waits for another to return: it waits in the queue for a worker
// that is coming, and who takes the first call out sends for the next worker before he runs it.
type workers struct {
	fresh bool // each call gets a goroutine of its own

	mu          sync.Mutex  // guards all below
	first, last *serverCall // the queue: calls that no worker has taken yet
	coming      bool        // a worker has been sent for and has not taken a call yet
	parked      []*worker   // used last in, first out
	unused      int         // of parked, from the front: not used since the last trim
	timer       *time.Timer
	open        bool // there are connections; without any nobody parks
}

// worker is a goroutine that runs calls.
type worker struct {
	runs int
	wake chan errand // capacity 1: what to do; made when the worker first parks
}

// errand is what a worker is sent for: to take a call out of the queue, to read a connection,
// or to end.
type errand struct {
	queue  bool
	read   *serverConn
	inside bool // it has the reader's role already
}

// run puts a call into the queue and has somebody run it.
func (p *workers) run(call *serverCall) {
	if p.fresh {
		go p.runAlone(call)
		return
	}
	p.mu.Lock()
	if p.last == nil {
		p.first = call
	} else {
		p.last.next = call
	}
	p.last = call
	w, start := p.sendForLocked()
	p.mu.Unlock()
	p.send(w, start)
}

// sendForLocked returns the worker to wake for the queue, or whether to start one,
// unless one is coming.
func (p *workers) sendForLocked() (w *worker, start bool) {
	if p.first == nil || p.coming {
		return nil, false
	}
	p.coming = true
	w = p.popLocked()
	return w, w == nil
}

func (p *workers) send(w *worker, start bool) {
	switch {
	case w != nil:
		w.wake <- errand{queue: true}
	case start:
		go p.work(errand{queue: true})
	}
}

// readOn has another worker read a connection whose loop has a call to run.
func (p *workers) readOn(sc *serverConn) {
	p.mu.Lock()
	w := p.popLocked()
	p.mu.Unlock()
	if w != nil {
		w.wake <- errand{read: sc}
	} else {
		go p.work(errand{read: sc})
	}
}

// popLocked takes the worker that has parked last; nil if there is none.
func (p *workers) popLocked() *worker {
	n := len(p.parked) - 1
	if n < 0 {
		return nil
	}
	w := p.parked[n]
	p.parked[n] = nil
	p.parked = p.parked[:n]
	p.unused = min(p.unused, n)
	return w
}

// runAlone runs one call on a goroutine of its own.
func (p *workers) runAlone(call *serverCall) {
	call.sc.conn.Transport().AwaitSpace() // as if the request had not been read
	call.began.Store(int64(transport.Clock()))
	call.serve().FlushBatched(true)
}

// work is a worker's life.
func (p *workers) work(e errand) {
	w := new(worker)
	for e.queue || e.read != nil {
		call, locked := p.begin(e)
		for call != nil {
			sc := call.sc
			if w.run(call) {
				return // with this goroutine ends the thread
			}
			if call = p.nextCall(sc); call == nil {
				call = p.take(false)
			}
		}
		if locked || !p.park(w) {
			return
		}
		e = <-w.wake
	}
}

// begin does an errand, and returns the call to begin with. locked says that a handler that the
// loop has run has left the goroutine locked to its thread.
func (p *workers) begin(e errand) (call *serverCall, locked bool) {
	if e.queue {
		return p.take(true), false
	}
	call, ended := p.read(e.read, e.inside)
	switch {
	case call != nil:
		p.readOn(e.read)
		return call, false
	case ended:
		e.read.finished()
	case threads.IsLocked():
		return nil, true
	}
	return p.take(false), false
}

// read is the loop's, until the connection has ended. It returns a call that the loop has read and
// is to run, if there is one: another goroutine has to read on.
func (p *workers) read(sc *serverConn, inside bool) (call *serverCall, ended bool) {
	ended = sc.conn.ReadLoop(inside, func() bool {
		call, sc.own = sc.own, nil
		return call != nil
	})
	return call, ended
}

// nextCall is for a worker that has answered: it returns the next request, if that comes at once.
func (p *workers) nextCall(sc *serverConn) (call *serverCall) {
	if !sc.conn.Transport().Frequent() {
		return nil
	}
	sc.conn.ReadAsWorker(func() bool {
		if sc.own != nil && call != nil { // one at a time
			p.run(sc.own)
		} else if sc.own != nil {
			call = sc.own
		}
		sc.own = nil
		return call != nil
	})
	return call
}

// take takes a call out of the queue, and sends for somebody who takes the next. came says that the
// worker was sent for.
func (p *workers) take(came bool) *serverCall {
	p.mu.Lock()
	if came {
		p.coming = false
	}
	call := p.first
	if call != nil {
		if p.first = call.next; p.first == nil {
			p.last = nil
		}
		call.next = nil
	}
	w, start := p.sendForLocked()
	p.mu.Unlock()
	p.send(w, start)
	return call
}

// run runs a call, and reports whether its handler has left the goroutine locked to its thread.
func (w *worker) run(call *serverCall) (locked bool) {
	call.sc.conn.Transport().AwaitSpace() // as if the request had not been read
	m, size := call.method, call.size
	began := transport.Clock()
	call.began.Store(int64(began))
	posted := call.serve()
	took := transport.Clock() - began
	posted.FlushBatched(true)
	w.runs++
	locked = m.WorthLooking(took, w.runs) && m.Looked(threads.IsLocked())
	m.observe(took, size, locked) //inline: else _, _, _ = m, size, took
	return locked
}

// park has a worker wait for the next call, which it is sent for. It returns false when the worker
// is to end. Calls that have come meanwhile have sent for another.
func (p *workers) park(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open || len(p.parked) >= workerKeep {
		return false
	}
	if w.wake == nil {
		w.wake = make(chan errand, 1)
	}
	if len(p.parked) == 0 {
		p.armLocked()
	}
	p.parked = append(p.parked, w)
	return true
}

// armLocked has trim called once. It stays armed while there are workers to look after.
func (p *workers) armLocked() {
	if p.timer == nil {
		p.timer = time.AfterFunc(workerIdle, p.trim)
	} else {
		p.timer.Reset(workerIdle)
	}
}

// trim ends the workers that were not used since it ran last: those at the front.
func (p *workers) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(min(p.unused, len(p.parked))) // setOpen may have ended them meanwhile
	p.unused = len(p.parked)
	if p.unused > 0 {
		p.timer.Reset(workerIdle)
	}
}

func (p *workers) endLocked(n int) {
	for _, w := range p.parked[:n] {
		w.wake <- errand{}
	}
	rest := copy(p.parked, p.parked[n:])
	clear(p.parked[rest:])
	p.parked = p.parked[:rest]
}

// setOpen says whether there are connections. With the last one all parked workers end, and the
// others when they return from their calls.
func (p *workers) setOpen(open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = open
	if open {
		return
	}
	p.endLocked(len(p.parked))
	p.unused = 0
	if p.timer != nil {
		p.timer.Stop()
	}
}
