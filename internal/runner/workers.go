package runner

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

	mu          sync.Mutex // guards all below
	first, last Call       // the queue: calls that no worker has taken yet
	coming      bool       // a worker has been sent for and has not taken a call yet
	parked      []*worker  // used last in, first out
	unused      int        // of parked, from the front: not used since the last trim
	timer       *time.Timer
	open        bool // there are connections; without any nobody parks
}

// worker is a goroutine that runs calls.
type worker struct {
	runs int
	wake chan errand // capacity 1: what to do; made when the worker first parks

	// These are of one reading, and nil between two.
	reads *Conn
	own   Call // what it has read for itself

	takeOwn func() bool // bound once: it is handed through an interface
}

func newWorker() *worker {
	w := new(worker)
	w.takeOwn = func() bool { return w.tookOwn() }
	return w
}

// errand is what a worker is sent for: to take a call out of the queue, to read a connection,
// or to end.
type errand struct {
	queue  bool
	read   *Conn
	inside bool // it has the reader's role already
}

// run puts a call into the queue and has somebody run it.
func (p *workers) run(call Call) {
	if p.fresh {
		go p.runAlone(call)
		return
	}
	p.mu.Lock()
	if p.last == nil {
		p.first = call
	} else {
		p.last.record().next = call
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
		p.start(errand{queue: true})
	}
}

func (p *workers) start(e errand) { go p.work(e) }

// readOn has another worker read a connection whose loop has a call to run.
func (p *workers) readOn(c *Conn) {
	p.mu.Lock()
	w := p.popLocked()
	p.mu.Unlock()
	if w != nil {
		w.wake <- errand{read: c}
	} else {
		p.start(errand{read: c})
	}
}

// standIn has a new worker read a connection in the place of the caller, who has the reader's role
// and is not the loop any more.
func (p *workers) standIn(c *Conn) { p.start(errand{read: c, inside: true}) }

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
func (p *workers) runAlone(call Call) {
	call.record().conn.t.AwaitSpace() // as if the request had not been read
	call.Serve(transport.Clock()).FlushBatched(true)
}

// work is a worker's life.
func (p *workers) work(e errand) {
	w := newWorker()
	for e.queue || e.read != nil {
		call, locked := p.begin(w, e)
		for call != nil {
			c := call.record().conn
			if w.run(call) {
				return // with this goroutine ends the thread
			}
			if call = w.nextCall(c); call == nil {
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
func (p *workers) begin(w *worker, e errand) (call Call, locked bool) {
	if e.queue {
		return p.take(true), false
	}
	call, ended := w.read(e.read, e.inside)
	switch {
	case call != nil:
		p.readOn(e.read)
		return call, false
	case ended:
		e.read.ended()
	case threads.IsLocked():
		return nil, true
	}
	return p.take(false), false
}

// read is the loop's, until the connection has ended. It returns a call that the loop has read and
// is to run, if there is one: another goroutine has to read on.
func (w *worker) read(c *Conn, inside bool) (call Call, ended bool) {
	w.reads = c
	ended = c.source.ReadLoop(inside, w.takeOwn)
	return w.endReading(), ended
}

// nextCall is for a worker that has answered: it returns the next request, if that comes at once.
func (w *worker) nextCall(c *Conn) Call {
	if !c.t.Frequent() {
		return nil
	}
	w.reads = c
	c.source.ReadAsWorker(w.takeOwn)
	return w.endReading()
}

// tookOwn takes what the one who reads is to run, and reports whether it has a call. A second one
// goes into the queue.
func (w *worker) tookOwn() bool {
	call := w.reads.own
	w.reads.own = nil
	if call != nil && w.own != nil {
		w.reads.runner.workers.run(call)
	} else if call != nil {
		w.own = call
	}
	return w.own != nil
}

// endReading returns the call that was read, if there is one, and forgets it and the connection.
func (w *worker) endReading() (call Call) {
	call, w.own, w.reads = w.own, nil, nil
	return call
}

// take takes a call out of the queue, and sends for somebody who takes the next. came says that the
// worker was sent for.
func (p *workers) take(came bool) Call {
	p.mu.Lock()
	if came {
		p.coming = false
	}
	call := p.first
	if call != nil {
		record := call.record()
		if p.first = record.next; p.first == nil {
			p.last = nil
		}
		record.next = nil
	}
	w, start := p.sendForLocked()
	p.mu.Unlock()
	p.send(w, start)
	return call
}

// run runs a call, and reports whether its handler has left the goroutine locked to its thread.
func (w *worker) run(call Call) (locked bool) {
	c, m, size := call.record().conn, call.record().method, call.record().size
	c.t.AwaitSpace() // as if the request had not been read
	began := transport.Clock()
	posted := call.Serve(began)
	took := transport.Clock() - began
	posted.FlushBatched(true)
	w.runs++
	return m.hasRun(took, size, w.runs)
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
	p.endLocked(min(p.unused, len(p.parked))) // setOpen may have ended them meanwhile
	p.unused = len(p.parked)
	if p.unused > 0 {
		p.timer.Reset(workerIdle)
	}
	p.mu.Unlock()
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
	if p.open = open; !open {
		p.endLocked(len(p.parked))
		p.unused = 0
		if p.timer != nil {
			p.timer.Stop()
		}
	}
	p.mu.Unlock()
}
