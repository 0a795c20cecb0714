//go:build go1.25

package ttrpc_test

import (
	"testing"
)

// What Shutdown has answered arrives, also over TCP, which throws answers away when requests lie unread.
func TestShutdownLosesNoAnswerOverTCP(t *testing.T) {
	for range 20 {
		g := newGate()
		r := serve(t, network("tcp"), withMethod("gated", g.unary()))
		p := r.raw()
		p.send(request(1, "gated", "x"))
		wait(t, g.started, "the call")
		shut := make(chan error, 1)
		go func() { shut <- r.Shutdown(bg) }()
		wait(t, r.served, "Serve")
		done := make(chan struct{})
		go func() { // requests that nobody will answer, up to the end
			defer close(done)
			for id := uint32(3); id < 2000; id += 2 {
				if _, err := p.Write(request(id, "echo", "x").bytes()); err != nil {
					return
				}
			}
		}()
		g.open()
		for f := p.recv(); f.id != 1; f = p.recv() {
			f.response(t)
		}
		p.Close()
		<-done
		check(t, wait(t, shut, "Shutdown"))
	}
}
