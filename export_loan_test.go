//go:build go1.25

package ttrpc

// What server_loan_test.go looks at: it goes with server_loan.go.

// Distrust is what the last suspicion of a method has cost.
func Distrust(s *Server, service, name string) int32 {
	return knownMethod(s, service, name).distrust.Load()
}

// ResetDistrust forgets that.
func ResetDistrust(s *Server, service, name string) {
	knownMethod(s, service, name).distrust.Store(0)
}

// AverageRun is how long runs of a method take, in nanoseconds.
func AverageRun(s *Server, service, name string) int64 {
	return knownMethod(s, service, name).average.Load()
}

// SetAverageRun sets that.
func SetAverageRun(s *Server, service, name string, n int64) {
	knownMethod(s, service, name).average.Store(n)
}

// BacklogIsFull reports that the server's only connection keeps back who has more to write.
func BacklogIsFull(s *Server) bool { return !conns(s)[0].ch.hasTurn() }

// CallerReads reports that a handler reads the server's only connection.
func CallerReads(s *Server) bool {
	sc := conns(s)[0]
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.duty == dutyCaller
}

// CanRunInline reports whether readers run handlers here.
const CanRunInline = canTryIO

func knownMethod(s *Server, service, name string) *method {
	m, st := s.registry.find([]byte(service), []byte(name))
	if st != nil {
		panic(name)
	}
	return m
}
