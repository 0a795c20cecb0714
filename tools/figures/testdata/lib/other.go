package lib

// other uses what server.go declares, which uses this.
func other(s *serverConn) int { return s.a }
