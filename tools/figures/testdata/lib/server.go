package lib

import "example.com/lib/internal/wire"

type serverConn struct{ clientConn }

func (s *serverConn) handle(g *wire.Frame) int {
	if g == nil || s.a > 0 && s.b > 0 {
		return s.deliver(1)
	}
	for range 3 {
		s.wake()
	}
	return other(s)
}

func (s *serverConn) wake() { s.a++ }

func (s *serverConn) deliver(n int) int {
	switch n {
	case 1, 2:
		return 1
	case 3:
		return 2
	default:
		return 3
	}
}
