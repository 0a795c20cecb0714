package peer

import "time"

// pings are what a connection's peer has been asked, and has not answered. The lock of their
// Liveness guards them.
type pings struct {
	ended   error                    // what those who ask get; nil: the connection has not ended
	last    uint64                   // the number of the latest Ping, which is its data
	waiting map[uint64]chan struct{} // by number: closed at the Pong, or at the end
	probe   chan struct{}            // likewise, for a probe on its way; nil: none
	timer   *time.Timer              // of the next check; nil: none
	written uint64                   // how far writing had come at the last one
}

// begin has a Ping wait for its answer.
func (p *pings) begin() (number uint64, answered chan struct{}, err error) {
	if p.ended != nil {
		return 0, nil, p.ended
	}
	if p.waiting == nil {
		p.waiting = make(map[uint64]chan struct{})
	}
	p.last++
	answered = make(chan struct{})
	p.waiting[p.last] = answered
	return p.last, answered, nil
}

// end takes the answer to a Ping, or forgets it.
func (p *pings) end(number uint64) {
	if answered := p.waiting[number]; answered != nil {
		close(answered)
		delete(p.waiting, number)
	}
}

// beginProbe has a probe wait for its answer. first says that none is on its way.
func (p *pings) beginProbe() (answered chan struct{}, first bool, err error) {
	if p.ended != nil {
		return nil, false, p.ended
	}
	if first = p.probe == nil; first {
		p.probe = make(chan struct{})
	}
	return p.probe, first, nil
}

// endProbe takes the answer to a probe, if there is one.
func (p *pings) endProbe() {
	if p.probe != nil {
		close(p.probe)
		p.probe = nil
	}
}

// endAll says that the connection has ended: there are no further answers, nor questions.
func (p *pings) endAll(err error) {
	p.ended = err
	p.endProbe()
	for number := range p.waiting {
		p.end(number)
	}
	if p.timer != nil {
		p.timer.Stop()
	}
}
