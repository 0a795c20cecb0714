package ttrpc

import (
	"sync"
	"time"
)

const (
	workerIdle = 2 * time.Second // a worker unused for between one and two of these ends
	workerKeep = 1024            // workers kept at most
)

// workers runs calls on goroutines whose stacks have grown already: a fresh one grows its stack anew in
// every call. Parked ones are used last in, first out. A call that finds none parked starts one, so that
// no call ever waits for another to return.
type workers struct {
	mu     sync.Mutex // guards all below
	parked []chan *serverCall
	unused int // of parked, from the front: not used since the last trim
	timer  *time.Timer
	closed bool
}

func (p *workers) run(call *serverCall) {
	p.mu.Lock()
	n := len(p.parked) - 1
	if n < 0 {
		p.mu.Unlock()
		go p.work(call)
		return
	}
	w := p.parked[n]
	p.parked[n] = nil
	p.parked = p.parked[:n]
	p.unused = min(p.unused, n)
	p.mu.Unlock()
	w <- call
}

// work is a worker's life: a nil call ends it.
func (p *workers) work(call *serverCall) {
	var w chan *serverCall // made when first needed: a call that blocks for long should not cost its memory
	for call != nil {
		ch := call.sc.ch
		ch.awaitSpace() // as if the request had not been read
		if crowd := call.serve(); crowd {
			ch.flushCrowd(true)
		} else {
			ch.flush(true)
		}
		if w == nil {
			w = make(chan *serverCall, 1)
		}
		if !p.park(w) {
			return
		}
		call = <-w
	}
}

func (p *workers) park(w chan *serverCall) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.parked) >= workerKeep {
		return false
	}
	if len(p.parked) == 0 {
		p.armLocked()
	}
	p.parked = append(p.parked, w)
	return true
}

// armLocked has trim called once. It stays armed while there are workers to look after.
func (p *workers) armLocked() {
	switch {
	case p.timer == nil:
		p.timer = time.AfterFunc(workerIdle, p.trim)
	case !p.timer.Stop():
		p.timer.Reset(workerIdle)
	default:
		p.timer.Reset(workerIdle)
	}
}

// trim ends the workers that were not used since it ran last: those at the front.
func (p *workers) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(min(p.unused, len(p.parked))) // close may have ended them meanwhile
	p.unused = len(p.parked)
	if p.unused > 0 {
		p.timer.Reset(workerIdle)
	}
}

func (p *workers) endLocked(n int) {
	for _, w := range p.parked[:n] {
		w <- nil
	}
	rest := copy(p.parked, p.parked[n:])
	clear(p.parked[rest:])
	p.parked = p.parked[:rest]
}

// close ends the parked workers, and the others when they return from their calls.
func (p *workers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.endLocked(len(p.parked))
	if p.timer != nil {
		p.timer.Stop()
	}
}
