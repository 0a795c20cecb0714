package frames

import (
	"net"
	"sync"
)

// Conn is a client's connection whose frames are shown to somebody.
type Conn struct {
	net.Conn
	out, in *shared
}

// shared is a Splitter that several goroutines may write to.
type shared struct {
	mu sync.Mutex // guards the splitter, and is held while it calls back
	s  Splitter
}

func (s *shared) Write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.s.Write(p) // it never fails
}

// Watch returns a connection that is used in place of conn. Each is called with every frame,
// possibly for both directions at once.
func Watch(conn net.Conn, each func(*Frame), wrong func(dir string, data []byte)) *Conn {
	half := func(dir string) *shared {
		return &shared{s: Splitter{
			Each:  func(f *Frame) { f.Dir = dir; each(f) },
			Wrong: func(data []byte) { wrong(dir, data) },
		}}
	}
	return &Conn{Conn: conn, out: half(ToServer), in: half(ToClient)}
}

func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Write(p[:n])
	return n, err
}

func (c *Conn) Write(p []byte) (int, error) {
	c.out.Write(p) // before the peer can answer
	return c.Conn.Write(p)
}
