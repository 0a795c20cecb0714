package peer

import (
	"io"
	"net"
	"os"
	"sync"
)

// A Recorder stands between clients and a server and keeps what passes, unchanged.
type Recorder struct {
	l      net.Listener
	server string

	mu    sync.Mutex // guards conns
	conns []*Recording
	all   sync.WaitGroup
}

// A Recording is what has passed on one connection, in order of their begin.
type Recording struct {
	mu      sync.Mutex // guards all below
	up      []byte     // to the server
	down    []byte     // to the client, up to the client's end
	leaving bool       // the client has ended
}

// Record listens at addr, and passes what comes on to a server.
func Record(s *Server, addr string) (*Recorder, error) {
	l, err := net.Listen("unix", addr)
	if err != nil {
		return nil, err
	}
	r := &Recorder{l: l, server: s.Addr}
	r.all.Go(r.run)
	return r, nil
}

func (r *Recorder) run() {
	for {
		client, err := r.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", r.server)
		if err != nil {
			client.Close()
			continue
		}
		rec := new(Recording)
		r.mu.Lock()
		r.conns = append(r.conns, rec)
		r.mu.Unlock()
		r.all.Go(func() { rec.pass(client, server) })
	}
}

// Stop ends the recording, once the connections have ended, and returns it.
func (r *Recorder) Stop() []*Recording {
	r.l.Close()
	os.Remove(r.l.Addr().String())
	r.all.Wait()
	return r.conns
}

func (rec *Recording) pass(client, server net.Conn) {
	var both sync.WaitGroup
	both.Go(func() {
		copyAll(server, client, rec.keepUp)
		rec.leave()
		server.(*net.UnixConn).CloseWrite()
	})
	both.Go(func() {
		copyAll(client, server, rec.keepDown)
		client.(*net.UnixConn).CloseWrite()
	})
	both.Wait()
	client.Close()
	server.Close()
}

func copyAll(to io.Writer, from io.Reader, keep func([]byte)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		keep(buf[:n])
		if _, writeErr := to.Write(buf[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

func (rec *Recording) keepUp(b []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.up = append(rec.up, b...)
}

// keepDown forgets what comes for a client that has ended: who is answered then is chance.
func (rec *Recording) keepDown(b []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !rec.leaving {
		rec.down = append(rec.down, b...)
	}
}

func (rec *Recording) leave() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.leaving = true
}

// Up returns what has gone to the server.
func (rec *Recording) Up() []byte {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.up
}

// Down returns what has gone to the client.
func (rec *Recording) Down() []byte {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.down
}
